"""SIGTERM: no new work, answers to all that was accepted, exit code 0, whatever clients and databases do."""

from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.server import Child, stop
from tests.service.access.holders import until
from tests.service.wires import Wire, head, is_answered, locked, registered, serving, status, wire

HEALTH = head("GET /healthz")
OVERDUE = "timeout graceful shutdown exceeded"
"""What uvicorn logs where it stops waiting for connections that are open yet."""


def test_clients_that_are_not_served_do_not_hold_the_end_up(tmp_path: Path) -> None:
    with serving(tmp_path) as server, ExitStack() as opened:
        silent = opened.enter_context(wire(server.url))
        idle = opened.enter_context(wire(server.url, HEALTH))
        assert status(idle) == 200
        parted = opened.enter_context(wire(server.url, b"nonsense\r\n\r\n"))
        assert status(parted) == 400
        halves = [
            opened.enter_context(wire(server.url, half))
            for half in (
                b"GET /heal",
                head("POST /report", "Content-Length: 100") + b"{",
                head("POST /report", "Transfer-Encoding: chunked") + b"1\r\n{\r\n",
            )
        ]
        later = opened.enter_context(wire(server.url, HEALTH + b"POST /rep"))
        assert status(later) == 200
        ensure_heard(server)
        assert stop(server) == 0
        assert silent.is_closed()
        assert idle.is_closed()
        assert parted.is_closed()
        for client in [*halves, later]:
            answer = client.answer()
            assert answer is not None
            assert (answer.status, answer.problem()) == (503, "unavailable")
            assert client.is_closed()
        assert OVERDUE not in server.log.read_text()
        assert "Traceback" not in server.log.read_text()


def test_a_client_that_does_not_read_does_not_hold_the_end_up(tmp_path: Path) -> None:
    with (
        serving(tmp_path, "--client-seconds", "4") as server,
        closing(Wire(server.url, receive_buffer=4096)) as client,
    ):
        while is_answered(client, server):
            pass
        assert stop(server) == 0
        assert OVERDUE not in server.log.read_text()


def test_what_was_accepted_is_answered_and_nothing_after_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server, ExitStack() as opened:
        suggest = head(f"GET /jobs/batch_size?job_id={registered(server.url)}")
        with locked(tmp_path / "batchbandit.db"):
            accepted = [opened.enter_context(wire(server.url, suggest * count)) for count in (1, 2)]
            half = opened.enter_context(wire(server.url, suggest + b"POST /report"))
            ensure_heard(server)
            server.process.terminate()
            until(lambda: "Shutting down" in server.log.read_text())
        answers = [status(client) for client in accepted]
        assert [*answers, status(accepted[1])] == [200, 200, 200]
        assert [status(half), status(half), status(half)] == [200, 503, None]
        assert all(client.is_closed() for client in accepted)
        assert server.process.wait(15) == 0
        assert OVERDUE not in server.log.read_text()


def ensure_heard(server: Child) -> None:
    """See that a server has read what was sent to it: who connects later is answered."""
    with wire(server.url, HEALTH) as client:
        assert status(client) == 200
