"""What doctor finds out, and what it makes of it."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit import doctor
from batchbandit.addresses import Address
from batchbandit.commands import main
from batchbandit.energy.meters import Device, Energy, NoMeter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.client.conftest import Server

NOBODY = 65534


class Meter:
    """Measures a GPU that is not there."""

    devices: Sequence[Device] = (Device("GPU-1", "V100", 300.0),)

    def __init__(self, flaw: str | None = None, source: str = "nvml-counter") -> None:
        self.flaw = flaw
        self.source = source

    def start(self) -> None:
        """Do nothing."""

    def read(self) -> Energy:
        """Return some joules."""
        return Energy(100.0, self.source, self.flaw)

    def close(self) -> None:
        """Do nothing."""


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a while, where this is root."""
    if os.getuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@contextmanager
def answering(answers: dict[str, tuple[int, Any]]) -> Iterator[str]:
    """Serve answers by path; what has none is a 404. Give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers.get(self.path, (404, None))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 -- the name that the base class calls

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def ask(url: str) -> tuple[doctor.Service | None, list[str], list[str]]:
    """Return what a service answers, with notes and problems."""
    notes: list[str] = []
    problems: list[str] = []
    return doctor.ask(Address.of(url), notes, problems), notes, problems


def test_a_service_that_is_well_is_described(server: Server) -> None:
    service, notes, problems = ask(server.url)
    assert service is not None
    assert (service.is_ready, service.lets_in, notes, problems) == (True, True, [], [])
    assert service.round_trip_seconds > 0
    assert abs(service.seconds_ahead or 0.0) <= 2


def test_asking_leaves_nothing_behind_in_the_service(own_server: Server) -> None:
    before = own_server.database.read_bytes()
    ask(own_server.url)
    own_server.stop()
    assert own_server.database.read_bytes() == before


def test_what_is_no_batchbandit_service_is_told() -> None:
    with answering({"/healthz": (200, "ok")}) as url:
        service, _, problems = ask(url)
    assert service is None
    assert problems == [f"{url} is no batchbandit service: /openapi.json does not name one."]


def test_a_service_that_is_not_ready_or_lets_nobody_in_is_told_in_its_own_words() -> None:
    answers = {
        "/healthz": (200, {"status": "ok"}),
        "/openapi.json": (200, {"info": {"title": "batchbandit", "version": "9.9"}}),
        "/readyz": (503, {"message": "the database is away"}),
        "/api/v1/suggestions": (401, {"message": "the token is not in force"}),
    }
    with answering(answers) as url:
        service, _, problems = ask(url)
    assert service is not None
    assert (service.version, service.is_ready, service.lets_in) == ("9.9", False, False)
    assert problems == [
        f"{url} is not ready: 503: the database is away",
        f"{url} does not let this training in: 401: the token is not in force",
    ]


def test_a_clock_that_differs_is_noted(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() - 60)
    service, notes, problems = ask(server.url)
    assert service is not None
    assert service.seconds_ahead == pytest.approx(60, abs=2)
    assert len(notes) == 1
    assert notes[0].startswith("The clocks differ by ")
    assert problems == []


def test_a_gpu_is_described(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(doctor, "find_meter", lambda **_: Meter())
    monkeypatch.setattr(doctor, "MEASURING_SECONDS", 0.01)
    assert main(["doctor"]) == 0
    told = capsys.readouterr().out
    assert "energy   nvml-counter: " in told
    assert "V100, up to 300 W, GPU-1" in told
    assert "power limits can" in told


@pytest.mark.parametrize("source", ["amdsmi-counter", "nvml-counter-shared", "rapl", "none"])
def test_nothing_is_said_of_power_limits_that_a_training_leaves_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str
) -> None:
    monkeypatch.setattr(doctor, "find_meter", lambda **_: Meter(source=source))
    monkeypatch.setattr(doctor, "MEASURING_SECONDS", 0.01)
    assert main(["doctor"]) == 0
    assert "power limits" not in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["measured"]["may_limit_power"] is None


@pytest.mark.parametrize(
    ("ahead", "said"),
    [(-1.5, "agree to 2 seconds"), (0.5, "agree to 2 seconds"), (3.0, "3 s ahead"), (-60.0, "60 s behind")],
)
def test_clocks_agree_as_nearly_as_answers_are_dated(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], ahead: float, said: str
) -> None:
    answers = doctor.Service("http://bandit", "1", True, True, 0.001, ahead)  # noqa: FBT003 -- ready, lets in
    monkeypatch.setattr(doctor, "ask", lambda *_: answers)
    monkeypatch.setattr(doctor, "find_meter", lambda **_: NoMeter())
    assert main(["doctor", "http://bandit"]) == 0
    told = capsys.readouterr().out
    assert said in told
    assert "neither NVML nor amdsmi shows a GPU" in told


def test_a_gpu_that_is_not_measured_as_it_should_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "find_meter", lambda **_: Meter("The GPU is lost."))
    monkeypatch.setattr(doctor, "MEASURING_SECONDS", 0.01)
    assert main(["doctor"]) == 1
    assert "problem  Energy is not measured as it should be: The GPU is lost." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("capabilities", "may"), [("0000000000200000", True), ("000001ffffdfffff", False), ("0", False)]
)
def test_power_limits_take_a_capability(tmp_path: Path, capabilities: str, may: bool) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tpython\nCapEff:\t{capabilities}\nCapBnd:\t000001ffffffffff\n")
    assert doctor.may_limit_power(status) is may
    assert not doctor.may_limit_power(tmp_path / "none")


def test_counters_of_the_cpu_that_are_closed_come_with_what_opens_them() -> None:
    with tempfile.TemporaryDirectory() as name:
        powercap = Path(name)
        powercap.chmod(0o755)
        assert doctor.closed_packages(powercap) == []
        package = powercap / "intel-rapl:0"
        package.mkdir()
        counter = package / "energy_uj"
        counter.write_text("1")
        assert doctor.closed_packages(powercap) == []
        counter.chmod(0)
        with unprivileged():
            (note,) = doctor.closed_packages(powercap)
    assert f"sudo chmod a+r {powercap}/intel-rapl:*/energy_uj" in note


def test_ranks_are_those_of_the_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[str] = []
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert doctor.find_rank(problems) == doctor.Place(3, 8)
    monkeypatch.setenv("WORLD_SIZE", "eight")
    assert doctor.find_rank(problems) is None
    assert [problem.split(":")[0] for problem in problems] == ["The ranks cannot be told"]


def test_a_state_folder_that_cannot_be_written_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(doctor, "find_meter", lambda **_: Meter())
    monkeypatch.setattr(doctor, "MEASURING_SECONDS", 0.01)
    found = doctor.examine(None)
    assert found.state is not None
    assert any(str(tmp_path / "file") in note for note in found.notes)
    assert found.problems == []
