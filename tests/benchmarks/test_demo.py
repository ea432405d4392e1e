"""The demonstration and the load generator, end to end."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from benchmarks.load import run_load
from benchmarks.server import running_server

ROOT = Path(__file__).parents[2]


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark from the command line."""
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_short_demonstration_shows_savings_and_arms() -> None:
    ended = run("demo", "--recurrences", "5")
    assert ended.returncode == 0, ended.stderr
    assert "against always using the default batch size" in ended.stdout
    assert "saved" in ended.stdout
    assert "its arms" in ended.stdout
    assert ended.stdout.count("valley-6 on") == 2


def test_a_piped_demonstration_is_plain_text_in_100_columns() -> None:
    ended = run("demo", "--recurrences", "1")
    assert "\x1b" not in ended.stdout
    assert "\r" not in ended.stdout
    assert max(map(len, ended.stdout.splitlines())) <= 100
    assert ended.stderr == ""


def test_a_demonstration_trains_from_recorded_trainings(shared: Path) -> None:
    ended = run("demo", "--traces", str(shared / "traces"), "--recurrences", "1")
    assert ended.returncode == 0, ended.stderr
    assert "librispeech on A40" in ended.stdout


def test_a_demonstration_against_a_service_that_runs_stays_there_to_be_looked_at() -> None:
    with running_server() as server:
        ended = run("demo", "--recurrences", "3", "--url", server.url)
        assert ended.returncode == 0, ended.stderr
        jobs = httpx.get(f"{server.url}/api/v1/jobs").json()["jobs"]
    assert len(jobs) == ended.stdout.count("chose ")
    assert all(job["num_converged"] == 3 for job in jobs)


def test_a_demonstration_against_a_service_that_is_not_there_says_so() -> None:
    ended = run("demo", "--recurrences", "1", "--url", "http://127.0.0.1:9")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Error: http://127.0.0.1:9 does not answer")


def test_a_demonstration_without_its_traces_says_so(tmp_path: Path) -> None:
    ended = run("demo", "--traces", str(tmp_path))
    assert ended.returncode == 1
    said = "cannot be read (No such file or directory); name another folder"
    assert ended.stderr == f"Error: {tmp_path}/summary_train.csv {said}\n"
    assert ended.stdout == ""


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_demonstration_that_is_stopped_stops_its_server(told: signal.Signals) -> None:
    command = [sys.executable, "-m", "benchmarks.demo"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        url = next(word for word in demo.stdout.readline().split() if word.startswith("http"))
        demo.send_signal(told)
        _, complaints = demo.communicate(timeout=30)
    with pytest.raises(httpx.ConnectError):
        httpx.get(url.rstrip("."))
    assert demo.returncode == 1
    assert complaints.strip() == "Aborted!"


def test_the_load_generator_prints_one_line_of_json() -> None:
    ended = run(
        "load", "--connections", "4", "--jobs", "2", "--seconds", "0.5", "--warmup", "0", "--json-only"
    )
    assert ended.returncode == 0, ended.stderr
    [line] = ended.stdout.splitlines()
    result = json.loads(line)
    assert result["total"]["requests"] > 0
    assert result["total"]["errors"] == {}


def test_the_load_generator_prints_a_table_before_its_json() -> None:
    ended = run("load", "--connections", "1", "--jobs", "1", "--seconds", "0.2", "--warmup", "0")
    *table, line = ended.stdout.splitlines()
    assert any("POST /report" in row for row in table)
    assert json.loads(line)["connections"] == 1


def test_a_server_killed_under_load_has_kept_what_it_acknowledged(tmp_path: Path) -> None:
    log = tmp_path / "acks"

    with running_server() as server:

        async def kill_under_load() -> float:
            load = asyncio.create_task(
                run_load(server.url, seconds=30, warmup=0, connections=8, jobs=8, ack_log=log)
            )
            await asyncio.sleep(1)
            server.process.kill()
            began = time.monotonic()
            result = await load
            assert result.total.errors["unreachable"] == 8
            return time.monotonic() - began

        assert asyncio.run(kill_under_load()) < 5
        with closing(sqlite3.connect(server.database)) as connection:
            kept = connection.execute(
                'SELECT job_id, trial_number, batch_size, status FROM "Trial"'
            ).fetchall()
    trials = {(job_id, number, batch_size): status for job_id, number, batch_size, status in kept}
    acks = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(acks) > 10
    for ack in acks:
        status = trials[ack["job_id"], ack["trial_number"], ack["batch_size"]]
        assert status == "Succeeded" or ack["ack"] == "suggested"
