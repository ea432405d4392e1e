"""``python -m batchbandit``: what it prints, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

import pytest

from batchbandit import commands
from batchbandit.addresses import Address
from batchbandit.jobs import JobSpec
from batchbandit.journals import Header
from batchbandit.opening import trial
from batchbandit.service import Service, new_key
from batchbandit.spool import Spool
from batchbandit.version import VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tests.client.conftest import Server

REPORT = {"time": 1.0, "energy": 2.0, "metric": 0.1, "current_epoch": 1}


def job(name: str) -> JobSpec:
    """Return a job on a made-up GPU."""
    gpus: dict[str, Any] = {"max_power": 300.0, "number_of_gpus": 1, "gpu_model": "V100", "eta_knob": 0.0}
    return JobSpec(job_id=name, batch_sizes=[8, 16], default_batch_size=8, **gpus)


class Told(NamedTuple):
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str


Run = Callable[..., Told]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command in this process, with little patience."""
    monkeypatch.setattr(commands, "PATIENCE_SECONDS", 0.5)

    def run_here(*arguments: str) -> Told:
        try:
            code = commands.main(arguments)
        except SystemExit as ended:
            code = int(str(ended.code))
        return Told(code, *capsys.readouterr())

    return run_here


def trials(database: Path, name: str) -> list[tuple[int, str]]:
    """Return the numbers of a job's trials and how they ended."""
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        query = "SELECT trial_number, status FROM Trial WHERE job_id = ? ORDER BY trial_number"
        return connection.execute(query, [name]).fetchall()
    finally:
        connection.close()


def leave_behind(url: str, name: str, trial_number: int) -> Path:
    """Leave the journal of a training that died after an epoch; return its file."""
    spool = Spool.open()
    body = {**job(name).body(), "job_id": name}
    journal = spool.create(Header(url, body, 8, new_key(), trial_number))
    journal.append({"report": REPORT})
    journal.close()
    return spool.waiting()[-1]


def test_the_package_is_a_command() -> None:
    command = [sys.executable, "-m", "batchbandit"]
    told = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
    assert told.stdout == f"batchbandit {VERSION}\n"
    assert subprocess.run([*command, "mend"], check=False, capture_output=True).returncode == 2


@pytest.mark.parametrize("arguments", [[], ["mend"], ["doctor", "--fast"], ["flush", "bandit:8000"]])
def test_wrong_usage_is_told_and_exits_with_2(run: Run, arguments: list[str]) -> None:
    refused = run(*arguments)
    assert refused.code == 2
    assert "usage: python -m batchbandit" in refused.err
    assert refused.out == ""


def test_doctor_says_what_is_here_and_who_answers(run: Run, server: Server, state_folder: Path) -> None:
    told = run("doctor", server.url)
    assert told.code == 0, told.out + told.err
    starts = [line.split("  ")[0] for line in told.out.splitlines() if not line.startswith(" ")]
    assert starts[:5] == ["client", "energy", "ranks", "state", "service"]
    assert str(state_folder) in told.out
    assert f"{server.url}, version" in told.out
    assert "ready, lets this training in" in told.out


def test_doctor_takes_the_address_from_the_environment_and_asks_nobody_without_one(
    run: Run, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHBANDIT_URL", server.url)
    assert f"{server.url}, version" in run("doctor").out
    monkeypatch.delenv("BATCHBANDIT_URL")
    told = run("doctor")
    assert told.code == 0
    assert "service  not asked: name its URL, or set BATCHBANDIT_URL" in told.out


def test_doctor_speaks_to_machines(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    found = json.loads(run("doctor", server.url, "--json").out)
    assert found["machine"]["choosing"] == {"CUDA_VISIBLE_DEVICES": "0"}
    assert found["place"] == {"rank": 0, "size": 1}
    assert found["service"]["is_ready"]
    assert found["service"]["lets_in"]
    assert found["problems"] == []


def test_a_problem_is_said_and_exits_with_1(run: Run, server: Server) -> None:
    server.kill()
    told = run("doctor", server.url)
    assert told.code == 1
    assert f"problem  {server.url} does not answer" in told.out


def test_doctor_keeps_the_token_to_itself(run: Run, server: Server) -> None:
    told = run("doctor", server.url.replace("http://", "http://job:bb_secret@"), "--json")
    assert "bb_secret" not in told.out + told.err


def test_flush_delivers_what_a_training_could_not_report(run: Run, server: Server) -> None:
    with trial(server.url, job("flushed"), patience_seconds=2.0) as training:
        server.kill()
        for epoch in training.epochs():
            training.report(0.1 * epoch)
    left = run("flush", server.url)
    assert left.code == 1
    assert f"{server.url}: delivered 0, refused 0, left 1 (" in left.out
    server.start()
    assert trials(server.database, "flushed") == [(1, "Dispatched")]
    assert run("flush").out == f"{server.url}: delivered 1, refused 0, left 0\n"
    assert trials(server.database, "flushed") == [(1, "Succeeded")]
    nothing = run("flush")
    assert (nothing.code, nothing.out) == (0, "Nothing waits.\n")


def test_flush_delivers_to_the_service_that_is_named_and_to_no_other(run: Run, server: Server) -> None:
    with trial(server.url, job("named")) as training:
        number = training.trial_number
    assert number is not None
    leave_behind(server.url, "named", number)
    elsewhere = "http://127.0.0.1:9"
    other = leave_behind(elsewhere, "elsewhere", 1)
    assert run("flush", server.url).code == 1, "the trial had ended, so its report is refused"
    assert Spool.open().waiting() == [other]
    assert run("flush", elsewhere).code == 1
    assert Spool.open().waiting() == [other]


def test_what_is_refused_is_put_away_and_found_by_doctor(
    run: Run, server: Server, state_folder: Path
) -> None:
    leave_behind(server.url, "unheard-of", 7)
    told = run("flush", server.url)
    assert (told.code, told.out) == (1, f"{server.url}: delivered 0, refused 1, left 0\n")
    found = run("doctor", server.url)
    assert found.code == 1
    refused = state_folder / "spool" / "refused"
    assert f"problem  {refused} has reports that were not taken (1): the .txt file beside each" in found.out
    assert "unreadable" not in found.out


def test_flush_shows_the_token(run: Run, own_server: Server, serve_command: list[str]) -> None:
    made = subprocess.run(
        [
            *serve_command[:-1],
            "token",
            "create",
            "--role",
            "trainer",
            "--database-url",
            own_server.database_url,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    token = made.stdout.strip()
    service = Service(Address.of(own_server.url, token))
    service.register(job("guarded").body())
    leave_behind(own_server.url, "guarded", service.suggest("guarded", new_key()).trial_number)
    service.close()
    refused = run("flush")
    assert refused.code == 1
    assert f"{own_server.url}: delivered 0, refused 0, left 1 (401: " in refused.out
    assert run("flush", "--token", token).out == f"{own_server.url}: delivered 1, refused 0, left 0\n"
    assert trials(own_server.database, "guarded") == [(1, "Failed")], "it died, and never reached its target"
