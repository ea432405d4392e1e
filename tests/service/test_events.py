"""What happens is told to all who listen: everything, once, in one order, for as long as they listen."""

from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Connection

from benchmarks.server import Server, stop
from service.clock import utc_now
from service.credentials import Role
from service.store import feed
from service.store.databases import run_beside
from service.store.happening import Happening
from tests.service.access.holders import make_token, until
from tests.service.listening import PATH, Told, happen, happen_to, happening, listening
from tests.service.tables import open_tables
from tests.service.wires import Wire, figure, head, serving, status, wire

ENDED = 'requests_total{call="GET /api/v1/events",status="200"}'
OVERDUE = "timeout graceful shutdown exceeded"
"""What uvicorn logs where it stops waiting for connections that are open yet."""


def said(told: list[Told]) -> list[Happening]:
    """Return what was told."""
    return [event.happening for event in told]


def test_what_happens_is_told_as_it_is_kept_and_in_its_order(server: Server) -> None:
    with listening(server.url) as stream:
        happened = happen_to(server.database_url, "one", "zwei \N{SNOWMAN}\n", "one")
        happened += happen_to(server.database_url, "one")
        told = stream.told(4)
    assert said(told) == happened
    assert {event.kind for event in told} == {"trial_ended"}
    assert len({event.id for event in told}) == 4
    assert stream.answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("damage", ["kind = 'trial_endet'", "detail = '{'"])
def test_one_that_is_damaged_is_told_to_nobody_and_holds_nobody_up(server: Server, damage: str) -> None:
    with listening(server.url) as stream, listening(server.url, job_id="spoilt") as of_the_job:
        place = stream.last_id

        def spoil(connection: Connection) -> None:
            feed.record(connection, happened)
            connection.exec_driver_sql(f"UPDATE \"Event\" SET {damage} WHERE job_id = 'spoilt'")  # noqa: S608

        happened = [happening(number, job_id) for number, job_id in enumerate(("one", "spoilt", "two"))]
        run_beside(server.database_url, spoil)
        assert said(stream.told(2)) == [happened[0], happened[2]]
        with listening(server.url, place) as again:
            assert said(again.told(2)) == [happened[0], happened[2]]
        later = happen_to(server.database_url, "spoilt")
        assert said(stream.told(1)) == later
        assert said(of_the_job.told(1)) == later


@pytest.mark.parametrize("place", ["header", "query", "both"])
def test_who_comes_again_is_told_what_it_has_missed_and_then_what_is_new(server: Server, place: str) -> None:
    with listening(server.url) as stream:
        happened = happen_to(server.database_url, "a", "b", "c")
        first = stream.told(3)[0].id
    happened += happen_to(server.database_url, "d") + happen_to(server.database_url, "e")
    query = {"query": {"after": first}, "both": {"after": "0-0"}}.get(place, {})
    with listening(server.url, None if place == "query" else first, **query) as again:
        assert said(again.told(4)) == happened[1:]
        new = happen_to(server.database_url, "f")
        assert said(again.told(1)) == new


def test_who_was_told_nothing_yet_misses_nothing_either(server: Server) -> None:
    with listening(server.url) as stream:
        place = stream.last_id
    missed = happen_to(server.database_url, "a")
    with listening(server.url, place) as again:
        assert said(again.told(1)) == missed


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"job_id": "many-a"}, {"many-a"}),
        ({"prefix": "many-"}, {"many-a", "many-b"}),
        ({"prefix": "many-", "job_id": "many"}, set()),
        ({"prefix": ""}, {"many-a", "many-b", "many", "Many-a"}),
        ({"prefix": "many\N{COMBINING DIAERESIS}"}, set()),
    ],
)
def test_a_job_s_events_are_told_alone_or_those_of_a_prefix_also_where_they_were_missed(
    server: Server, query: dict[str, str], wanted: set[str]
) -> None:
    with listening(server.url) as stream:
        place = stream.last_id
    happened = happen_to(server.database_url, *["many-a", "many-b", "many", "Many-a"] * 350)
    with listening(server.url, place, **query) as again, listening(server.url, place) as all_of_them:
        expected = [one for one in happened if one.job_id in wanted]
        assert said(again.told(len(expected))) == expected
        assert said(all_of_them.told(len(happened))) == happened
        new = happen_to(server.database_url, "many", "Many-a", "many-b", "many-a")
        assert said(all_of_them.told(4)) == new
        expected = [one for one in new if one.job_id in wanted]
        assert said(again.told(len(expected))) == expected


def test_a_place_that_was_never_reached_is_taken_for_now(server: Server) -> None:
    with listening(server.url, f"{2**63 - 1}-{2**63 - 1}") as stream:
        stream.last_id = ""
        stream.begin()
        happened = happen_to(server.database_url, "restored")
        assert said(stream.told(1)) == happened


@pytest.mark.parametrize(
    ("query", "header", "loc"),
    [
        ({"after": "yesterday"}, None, ["query", "after"]),
        ({"after": "1"}, None, ["query", "after"]),
        ({"after": "01-1"}, None, ["query", "after"]),
        ({"after": f"0-{2**63}"}, None, ["query", "after"]),
        ({"after": f"{'9' * 5000}-1"}, None, ["query", "after"]),
        ({"after": "-1-1"}, None, ["query", "after"]),
        ({"after": "1--1"}, None, ["query", "after"]),
        ({}, f"0--{'9' * 30}", ["header", "last-event-id"]),
        ({}, "1-1-1", ["header", "last-event-id"]),
        ({}, "\u00b2-1", ["header", "last-event-id"]),
        ({"job_id": ""}, None, ["query", "job_id"]),
        ({"job_id": "x" * 401}, None, ["query", "job_id"]),
        ({"job_id": "x\x00"}, None, ["query", "job_id"]),
        ({"prefix": "x\x00"}, None, ["query", "prefix"]),
    ],
)
def test_what_is_no_place_and_no_job_is_refused(
    server: Server, query: dict[str, str], header: str | None, loc: list[str]
) -> None:
    headers = httpx.Headers({} if header is None else {"Last-Event-ID": header}, encoding="latin-1")
    answer = httpx.get(f"{server.url}{PATH}", params=query, headers=headers, trust_env=False)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == loc


def test_who_needed_no_token_is_left_when_the_first_one_is_made(tmp_path: Path) -> None:
    with serving(tmp_path) as server, listening(server.url) as stream:
        make_token(f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}", Role.ADMIN)
        assert stream.rest() == []


def test_there_is_an_end_to_the_listeners_and_who_hangs_up_makes_room(tmp_path: Path) -> None:
    with serving(tmp_path, "--connection-limit", "4") as server:
        with listening(server.url) as one, listening(server.url):
            with wire(server.url, head(f"GET {PATH}")) as third:
                answer = third.answer()
                assert answer is not None
                assert (answer.status, answer.problem()) == (503, "overloaded")
                assert answer.headers["retry-after"] == "1"
            happen_to(f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}", "a")
            assert len(one.told(1)) == 1
        until(lambda: _is_let_in(server.url))


def _is_let_in(url: str) -> bool:
    with wire(url, head(f"GET {PATH}")) as client:
        return status(client) == 200


def test_who_half_closes_its_side_no_longer_listens(tmp_path: Path) -> None:
    with serving(tmp_path) as server, wire(server.url, head(f"GET {PATH}")) as client:
        assert status(client) == 200
        client.socket.shutdown(1)
        until(lambda: figure(server, ENDED) == 1)


def test_who_does_not_read_is_let_go_and_the_others_are_told_all(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with (
        serving(tmp_path, "--client-seconds", "2") as server,
        closing(Wire(server.url, receive_buffer=4096)) as slow,
        listening(server.url) as stream,
    ):
        slow.send(head(f"GET {PATH}"))
        assert status(slow) == 200
        for _ in range(20):
            happen(url, [happening(number, padding="x" * 2000) for number in range(500)])
            assert [event.number for event in stream.told(500)] == list(range(500))
        until(lambda: figure(server, ENDED) == 1)
        assert "Traceback" not in server.log.read_text()


def test_listeners_end_well_and_at_once_when_the_service_does(tmp_path: Path) -> None:
    with serving(tmp_path) as server, ExitStack() as opened:
        clients = [opened.enter_context(wire(server.url, head(f"GET {PATH}"))) for _ in range(100)]
        assert {status(client) for client in clients} == {200}
        assert stop(server) == 0
        assert {client.rest()[-5:] for client in clients} == {b"0\r\n\r\n"}, "each stream has its end"
        log = server.log.read_text()
        assert OVERDUE not in log
        assert "Traceback" not in log


def test_a_client_that_does_not_read_its_stream_does_not_hold_the_end_up(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    with serving(tmp_path) as server, closing(Wire(server.url, receive_buffer=4096)) as slow:
        happen(url, [happening(number, padding="x" * 2000) for number in range(5000)])
        slow.send(head(f"GET {PATH}?after=0-0"))
        assert status(slow) == 200
        assert stop(server) == 0
        assert OVERDUE not in server.log.read_text()


def test_listeners_are_left_when_the_service_begins_to_drain_and_are_told_to_come_again(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, "--drain-seconds", "3") as server:
        with listening(server.url) as stream:
            server.process.terminate()
            assert stream.rest() == []
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        again = httpx.get(f"{server.url}{PATH}", trust_env=False)
        assert (again.status_code, again.text) == (200, "retry: 2000\n\n")
        assert server.process.wait(15) == 0


def test_what_happened_long_ago_is_forgotten_but_for_the_newest(server_url: str, tmp_path: Path) -> None:
    happen(server_url, [happening(number, moment=utc_now() - timedelta(hours=1)) for number in range(2500)])
    with (
        serving(tmp_path, "--event-seconds", "1800", "--database-url", server_url),
        open_tables(server_url) as tables,
    ):
        until(lambda: tables.rows('SELECT event_id FROM "Event"') == [(2500,)])
        happen(server_url, [happening(2500)])
        until(lambda: tables.rows('SELECT event_id FROM "Event"') == [(2501,)])
