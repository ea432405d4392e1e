"""Clients that are slow, silent, greedy or hostile: refused with a sentence, and nothing written."""

import itertools
import resource
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import httpx
import pytest

from benchmarks.server import Child
from tests.service.access.holders import until
from tests.service.access.test_origins import HEADERS
from tests.service.talk import Api, job_body
from tests.service.wires import Wire, call, figure, head, is_answered, locked, serving, status, wire
from tests.skips import skip_without

HEALTH = head("GET /healthz")
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the impatient server keeps its file."""
    return tmp_path_factory.mktemp("impatient")


@pytest.fixture(scope="module")
def impatient(folder: Path) -> Iterator[Child]:
    """Return a server that gives its clients a second; its log is free of tracebacks at the end."""
    with serving(folder, "--client-seconds", "1", "--keep-alive-seconds", "1") as server:
        yield server
        assert httpx.get(f"{server.url}/healthz", trust_env=False).status_code == 200
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Child]:
    """Return a server that gives its clients the time that they have by default."""
    with serving(tmp_path_factory.mktemp("patient")) as server:
        yield server
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def job(impatient: Child) -> str:
    """Return a job of the impatient server."""
    with httpx.Client(base_url=impatient.url, trust_env=False) as http:
        return str(Api(http).register()["job_id"])


def suggest(job_id: str, *headers: str) -> bytes:
    """Return the head of a request that dispatches a trial."""
    return head(f"GET /jobs/batch_size?job_id={job_id}", *headers)


def trials(folder: Path) -> int:
    """Return how many trials were dispatched."""
    with closing(sqlite3.connect(folder / "batchbandit.db")) as connection:
        [count] = connection.execute("SELECT count(*) FROM Trial").fetchone()
        return int(count)


HOSTILE: dict[str, bytes] = {
    "no HTTP at all": b"this is not HTTP\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + bytes(500),
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "HTTP/2.0": b"GET /healthz HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "an unknown method": head("BREW /healthz"),
    "a proxy's method": head("CONNECT example:443"),
    "an address that is none": head("GET http://a:b:c/healthz"),
    "a path that is not ASCII": "GET /é HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\0b\r\n\r\n",
    "a space before a colon": b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n",
    "a header without a name": b"GET /healthz HTTP/1.1\r\n: a\r\n\r\n",
    "bare LF": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare LF after a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX: b\r\n\r\n",
    "bare CR after a header": b"GET /healthz HTTP/1.1\r\nHost: localhost\rX: b\r\n\r\n",
    "a folded header": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n b\r\n\r\n",
    "length and chunks": head("POST /report", "Content-Length: 5", CHUNKED) + b"0\r\n\r\n",
    "chunks and length": head("POST /report", CHUNKED, "Content-Length: 5") + b"0\r\n\r\n",
    "two lengths": head("POST /report", "Content-Length: 2", "Content-Length: 3") + b"{} ",
    "two equal lengths": head("POST /report", "Content-Length: 2", "Content-Length: 2") + b"{}",
    "a list of lengths": head("POST /report", "Content-Length: 2, 2") + b"{}",
    "a signed length": head("POST /report", "Content-Length: +2") + b"{}",
    "an endless length": head("POST /report", f"Content-Length: {'9' * 30}") + b"{}",
    "another encoding": head("POST /report", "Transfer-Encoding: gzip") + b"{}",
    "nearly chunks": head("POST /report", "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    "chunks twice": head("POST /report", CHUNKED, CHUNKED) + b"0\r\n\r\n",
    "chunks, then none": head("POST /report", f"{CHUNKED}, identity") + b"0\r\n\r\n",
    "a chunk without a size": head("POST /report", CHUNKED) + b"{}\r\n0\r\n\r\n",
    "an endless chunk": head("POST /report", CHUNKED) + b"fffffffffffffffff\r\n{}\r\n",
    "bare LF after a chunk": head("POST /report", CHUNKED) + b"2\n{}\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_not_plain_http_is_refused_as_malformed(impatient: Child, data: bytes) -> None:
    with wire(impatient.url, data) as client:
        answer = client.answer()
        assert answer is not None
        assert (answer.status, answer.problem()) == (400, "malformed-request")
        assert answer.headers["connection"] == "close"
        assert client.is_closed()


def test_a_refused_request_has_not_been_begun(impatient: Child, job: str, folder: Path) -> None:
    before = trials(folder)
    with ExitStack() as opened:
        clients = [
            opened.enter_context(wire(impatient.url, suggest(job, header) + body))
            for header, body in (
                ("Transfer-Encoding: gzip", b""),
                (CHUNKED, b"no size"),
                (CHUNKED, b"2\r\n{}\r\n"),
                ("Content-Length: 10", b"{}"),
            )
        ]
        answers = [client.answer() for client in clients]
        assert [answer and answer.status for answer in answers] == [400, 400, 408, 408]
        assert all(client.is_closed() for client in clients)
    assert trials(folder) == before


def test_a_client_that_says_nothing_is_hung_up_on(impatient: Child) -> None:
    with wire(impatient.url) as silent, wire(impatient.url, b"\r\n") as nearly:
        assert silent.is_closed()
        assert nearly.is_closed()


def test_a_client_that_says_nothing_more_is_hung_up_on(impatient: Child) -> None:
    with wire(impatient.url, HEALTH) as client:
        assert client.answer() is not None
        assert client.is_closed()


def test_a_request_that_does_not_become_whole_times_out(impatient: Child) -> None:
    parts = [
        b"G",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n",
        head("POST /report", "Content-Length: 10"),
        head("POST /report", "Content-Length: 10", "Expect: something"),
        head("POST /report", "Content-Length: 10") + b"{",
        head("POST /report", CHUNKED) + b"1\r\n{\r\n",
    ]
    with ExitStack() as opened:
        clients = [opened.enter_context(wire(impatient.url, part)) for part in parts]
        for client in clients:
            answer = client.answer()
            assert answer is not None
            assert (answer.status, answer.problem()) == (408, "request-timeout")
            assert client.is_closed()


def test_a_second_request_that_does_not_become_whole_times_out(impatient: Child) -> None:
    with wire(impatient.url, HEALTH + b"GET /") as client:
        answers = [client.answer(), client.answer(), client.answer()]
        assert [answer and answer.status for answer in answers] == [200, 408, None]


@pytest.mark.parametrize(
    "begun",
    [b"GET /healthz HTTP/1.1\r\nX: ", head("POST /report", "Content-Length: 1000")],
    ids=["a head", "a body"],
)
def test_a_request_that_trickles_times_out(impatient: Child, begun: bytes) -> None:
    with wire(impatient.url, begun) as client:
        client.socket.settimeout(0.05)
        for _ in range(400):
            with suppress(TimeoutError):
                assert client.socket.recv(1000).startswith(b"HTTP/1.1 408")
                return
            client.send(b"x")
    pytest.fail("the trickle went on for 20 s")


@pytest.mark.parametrize("size", [70_000, 2_000_000])
@pytest.mark.parametrize("place", ["a header", "the path", "many headers"])
def test_a_head_past_the_limit_is_refused(impatient: Child, place: str, size: int) -> None:
    data = {
        "a header": head("GET /healthz", f"X: {'x' * size}"),
        "the path": head(f"GET /{'x' * size}"),
        "many headers": head("GET /healthz", *(["X: y"] * (size // 5))),
    }[place]
    with wire(impatient.url) as client:
        with suppress(ConnectionError):
            client.send(data)
        answer = client.answer()
        assert answer is not None
        assert (answer.status, answer.problem()) == (431, "head-too-large")
        assert client.is_closed()


def test_a_head_past_the_limit_is_refused_wherever_it_begins(impatient: Child) -> None:
    with wire(impatient.url, head("POST /report", "Content-Length: 2") + b"{") as client:
        client.send(b"}" + head("GET /healthz", f"X: {'x' * 65_530}"))
        assert [status(client), status(client)] == [422, 431]


@pytest.mark.parametrize("rest", [b"", b"GET /"], ids=["all", "all and a half"])
def test_who_has_said_all_is_answered_and_hung_up_on(
    impatient: Child, job: str, folder: Path, rest: bytes
) -> None:
    before = trials(folder)
    with wire(impatient.url) as client:
        with locked(folder / "batchbandit.db"):
            client.send(suggest(job) * 2 + rest)
            client.socket.shutdown(socket.SHUT_WR)
            with wire(impatient.url, HEALTH) as other:
                assert status(other) == 200  # the end has been seen when this is
        assert [status(client), status(client), status(client)] == [200, 200, None]
    assert trials(folder) == before + 2


def test_a_large_head_within_the_limit_is_fine(impatient: Child) -> None:
    with wire(impatient.url, head("GET /healthz", f"X: {'x' * 60_000}")) as client:
        answer = client.answer()
        assert answer is not None
        assert answer.status == 200


def test_a_body_past_the_limit_is_refused_however_it_is_sent(patient: Child) -> None:
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    parts = b"1\r\n \r\n" * 400_000 + b"0\r\n" + b"X: y\r\n" * 1_200_000
    for data in (
        head("POST /report", "Content-Length: 1048577"),
        head("POST /report", CHUNKED) + chunk * 17,
        head("POST /report", CHUNKED) + parts,
    ):
        with wire(patient.url) as client:
            with suppress(ConnectionError):
                client.send(data)
            answer = client.answer()
            assert answer is not None
            assert (answer.status, answer.problem()) == (413, "body-too-large")
            assert client.is_closed()


def test_what_follows_chunks_is_no_header(impatient: Child) -> None:
    data = head("POST /report", CHUNKED) + b"2\r\n{}\r\n0\r\nContent-Type: text/plain\r\n\r\n"
    with wire(impatient.url, data) as client:
        answer = client.answer()
        assert answer is not None
        assert answer.status == 422
        assert b"content-type" not in answer.body


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "in pieces"])
def test_a_request_for_another_protocol_is_answered_in_this_one(
    impatient: Child, is_chunked: bool, is_slow: bool
) -> None:
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
    data = call("POST /jobs", job_body(), *upgrade)
    if is_chunked:
        body = data.partition(b"\r\n\r\n")[2]
        data = head("POST /jobs", CHUNKED, *upgrade) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    data += HEALTH + head("GET /readyz", *upgrade)
    with wire(impatient.url) as client:
        step = 97 if is_slow else len(data)
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step):
            client.send(data[start : start + step])
            time.sleep(0.005)
        answers = [client.answer() for _ in range(3)]
        assert [answer and answer.status for answer in answers] == [201, 200, 200]


@pytest.mark.parametrize(
    ("header", "refusal"),
    [("Origin: http://evil.example", (403, "foreign-origin")), ("Host: evil.example", (421, "unknown-host"))],
)
def test_an_offer_of_another_protocol_gets_nobody_in(
    impatient: Child, job: str, folder: Path, header: str, refusal: tuple[int, str]
) -> None:
    before = trials(folder)
    offer = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ")
    own = [] if header.startswith("Host") else ["Host: localhost"]
    lines = [f"GET /jobs/batch_size?job_id={job} HTTP/1.1", *own, header, *offer, "", ""]
    with wire(impatient.url, "\r\n".join(lines).encode()) as client:
        answer = client.answer()
        assert answer is not None
        assert (answer.status, answer.problem()) == refusal
    assert trials(folder) == before


def test_what_is_refused_early_has_the_headers_of_every_answer(impatient: Child) -> None:
    refused = {
        400: b"nonsense\r\n\r\n",
        408: b"GET /",
        413: head("POST /report", "Content-Length: 1048577"),
        431: head("GET /healthz", f"X: {'x' * 70_000}"),
    }
    for expected, data in refused.items():
        with wire(impatient.url, data) as client:
            answer = client.answer()
            assert answer is not None
            assert answer.status == expected
            assert answer.headers | HEADERS == answer.headers


def test_curl_may_offer_http2(impatient: Child) -> None:
    if shutil.which("curl") is None:
        skip_without("curl is not installed")
    url = f"{impatient.url}/trials"
    body = '{"job_id": "nobody", "batch_size": 8, "trial_number": 1}'
    command = ["curl", "--silent", "--http2", "--request", "PATCH", "--data", body]
    command += ["--header", "Content-Type: application/json", "--write-out", "%{http_code} ", url, url]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    assert said.stdout.count("trial-not-found") == 2


def test_a_body_is_asked_for_where_a_client_expects_that(impatient: Child) -> None:
    with wire(impatient.url, head("POST /report", "Content-Length: 2", "Expect: 100-continue")) as client:
        answer = client.answer()
        assert answer is not None
        assert answer.status == 100
        client.send(b"{}")
        answer = client.answer()
        assert answer is not None
        assert answer.status == 422


@pytest.mark.parametrize(
    "request_of_one",
    [
        b"GET /healthz HTTP/1.0\r\n\r\n",
        b"GET /healthz HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        head("GET /healthz", "Connection: close"),
        head("GET /healthz", "Connection: close, Upgrade", "Upgrade: h2c"),
    ],
    ids=["HTTP/1.0", "HTTP/1.0 and an offer", "close", "close and an offer"],
)
def test_a_last_request_is_answered_and_hung_up_on(impatient: Child, request_of_one: bytes) -> None:
    with wire(impatient.url, request_of_one) as client:
        answer = client.answer()
        assert answer is not None
        assert answer.status == 200
        assert answer.headers["connection"] == "close"
        assert client.is_closed()


def test_requests_sent_ahead_are_answered_in_their_order(impatient: Child) -> None:
    lines = ["GET /healthz", "GET /nowhere", "DELETE /healthz", "GET /readyz"]
    with wire(impatient.url, b"".join(map(head, lines)) + b"nonsense\r\n") as client:
        answers = [client.answer() for _ in range(5)]
        assert [answer and answer.status for answer in answers] == [200, 404, 405, 200, 400]
        assert client.is_closed()


def test_requests_sent_ahead_are_bounded(impatient: Child) -> None:
    with wire(impatient.url, HEALTH * 1000) as client:
        statuses = []
        while (answer := client.answer()) is not None:
            statuses.append(answer.status)
        assert statuses[-1] == 503
        assert set(statuses[:-1]) == {200}


def test_a_client_that_does_not_read_is_hung_up_on(impatient: Child) -> None:
    client = Wire(impatient.url, receive_buffer=4096)
    before = refusals(impatient)
    with closing(client), pytest.raises(ConnectionError):
        send_on_and_on(client)
    assert refusals(impatient) == before, "it has not been refused for sending too much ahead"


def refusals(server: Child) -> float:
    """Return how often connections were refused with 503."""
    return figure(server, 'requests_total{call="other",status="503"}')


def send_on_and_on(client: Wire) -> None:
    """Send requests and read no answer: until no more are read from it, and then until it is hung up on."""
    request = call("POST /api/v1/suggestions", {"job_ids": ["nobody"] * 1000})
    while True:
        client.send(request)
        time.sleep(0.05)


@pytest.mark.parametrize(
    "begun",
    [b"GET /healthz HTTP/1.1\r\n", head("POST /report", CHUNKED) + b"2\r\n{}\r\n0\r\n"],
    ids=["a head", "what follows chunks"],
)
def test_limits_hold_while_answers_are_not_read(patient: Child, most_unread: int, begun: bytes) -> None:
    with closing(Wire(patient.url, receive_buffer=4096)) as client:
        assert all(is_answered(client, patient) for _ in range(most_unread))
        before = resident_bytes(patient)
        with suppress(TimeoutError, ConnectionError):
            client.socket.settimeout(2)
            client.send(begun)
            for _ in range(200):
                client.send(b"X: y\r\n" * 10_000)
        assert resident_bytes(patient) - before < 60_000_000


@pytest.fixture(scope="module")
def most_unread(patient: Child) -> int:
    """Return how many answers are written for a client that reads none; the last keeps others from being."""
    with closing(Wire(patient.url, receive_buffer=4096)) as client:
        return next(count for count in itertools.count() if not is_answered(client, patient))


def resident_bytes(server: Child) -> int:
    """Return how much memory a server takes up."""
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def test_parts_of_bodies_are_not_kept_without_end(patient: Child) -> None:
    part = head("POST /report", "Content-Length: 1048576") + b" " * 1_048_000
    with ExitStack() as opened:
        clients = [opened.enter_context(wire(patient.url, part)) for _ in range(70)]
        answer = clients[0].answer()
        assert answer is not None
        assert (answer.status, answer.problem()) == (503, "overloaded")
        clients[-1].send(b" " * 576)
        answer = clients[-1].answer()
        assert answer is not None
        assert answer.status == 422


def test_bodies_count_until_they_are_answered(tmp_path: Path) -> None:
    body = b'{"job_ids": ["nobody"]' + b" " * 1_048_000 + b"}"
    request = head("POST /api/v1/suggestions", f"Content-Length: {len(body)}") + body
    with serving(tmp_path) as server, ExitStack() as opened:
        with locked(tmp_path / "batchbandit.db"):
            clients = [opened.enter_context(wire(server.url, request))]
            until(lambda: figure(server, "transaction_commands_count") == 1)
            clients += [opened.enter_context(wire(server.url, request)) for _ in range(79)]
            until(lambda: figure(server, "waiting_commands") + refusals(server) == 79)
            assert refusals(server) >= 16
            assert status(opened.enter_context(wire(server.url, HEALTH))) == 200
        assert {status(client) for client in clients} == {200, 503}
        assert status(opened.enter_context(wire(server.url, request))) == 200
