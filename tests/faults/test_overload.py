"""More than can be served: refused at once and in words, and everybody else is served."""

import resource
import time
from contextlib import ExitStack
from pathlib import Path

from tests.service.access.holders import until
from tests.service.wires import call, figure, head, locked, registered, serving, status, wire

HEALTH = head("GET /healthz")


def test_who_has_been_idle_the_longest_gives_way(tmp_path: Path) -> None:
    with serving(tmp_path, "--connection-limit", "20") as server, ExitStack() as opened:
        silent = [opened.enter_context(wire(server.url, part)) for part in [b"", b"G", b""] * 10]
        again = opened.enter_context(wire(server.url, HEALTH))
        assert status(again) == 200
        for _ in range(30):
            assert status(opened.enter_context(wire(server.url, HEALTH))) == 200
            again.send(HEALTH)
            assert status(again) == 200, "who is at work stays"
        assert all(client.is_closed() for client in silent)


def test_who_sends_a_body_or_awaits_an_answer_does_not_give_way(tmp_path: Path) -> None:
    with serving(tmp_path, "--connection-limit", "5") as server, ExitStack() as opened:
        suggest = head(f"GET /jobs/batch_size?job_id={registered(server.url)}")
        with locked(tmp_path / "batchbandit.db"):
            owed = opened.enter_context(wire(server.url, suggest + b"GET /heal"))
            sending = opened.enter_context(wire(server.url, head("POST /report", "Content-Length: 2")))
            for _ in range(20):
                assert status(opened.enter_context(wire(server.url, HEALTH))) == 200
                opened.enter_context(wire(server.url, b"GET /"))
        owed.send(b"thz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert [status(owed), status(owed)] == [200, 200]
        sending.send(b"{}")
        assert status(sending) == 422


def test_where_nobody_is_idle_a_connection_is_refused_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, "--connection-limit", "3") as server, ExitStack() as opened:
        suggest = head(f"GET /jobs/batch_size?job_id={registered(server.url)}")
        with locked(tmp_path / "batchbandit.db"):
            waiting = [opened.enter_context(wire(server.url, HEALTH + suggest)) for _ in range(3)]
            assert [status(client) for client in waiting] == [200] * 3, "and what comes next has begun"
            for _ in range(3):
                client = opened.enter_context(wire(server.url))
                answer = client.answer()
                assert answer is not None
                assert (answer.status, answer.problem()) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
                assert client.is_closed()
        assert [status(client) for client in waiting] == [200] * 3


def test_a_full_queue_refuses_at_once_and_answers_what_it_took(tmp_path: Path) -> None:
    with serving(tmp_path, "--queue-limit", "2") as server, ExitStack() as opened:
        suggest = head(f"GET /jobs/batch_size?job_id={registered(server.url)}")
        with locked(tmp_path / "batchbandit.db"):
            before = figure(server, "transaction_commands_count")
            taken = [opened.enter_context(wire(server.url, suggest))]
            until(lambda: figure(server, "transaction_commands_count") > before)
            taken += [opened.enter_context(wire(server.url, suggest)) for _ in range(2)]
            until(lambda: figure(server, "waiting_commands") == 2)
            for _ in range(20):
                answer = opened.enter_context(wire(server.url, suggest)).answer()
                assert answer is not None
                assert (answer.status, answer.problem()) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
            many = call("POST /api/v1/suggestions", {"job_ids": ["nobody"] * 1000})
            assert status(opened.enter_context(wire(server.url, many))) == 503
        assert [status(client) for client in taken] == [200] * 3


def test_fewer_connections_are_served_where_fewer_files_may_be_open(tmp_path: Path) -> None:
    limited = ("sh", "-c", 'ulimit -n 130; exec "$0" "$@"')
    with serving(tmp_path, prefix=limited) as server, ExitStack() as opened:
        assert "ulimit -n" in server.log.read_text()
        for _ in range(200):
            opened.enter_context(wire(server.url))
        assert status(opened.enter_context(wire(server.url, HEALTH))) == 200


def test_a_process_without_files_serves_again_when_it_has_some(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        pid = server.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (30, limits[1]))
        with ExitStack() as opened:
            for _ in range(100):
                opened.enter_context(wire(server.url))
            time.sleep(0.3)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        with wire(server.url, HEALTH) as client:
            assert status(client) == 200
