"""The calls: repeated until they are answered, each once in effect, for no longer than patience lasts."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from batchbandit.addresses import Address
from batchbandit.errors import Refused, Unreachable
from batchbandit.service import Service, TrialName

if TYPE_CHECKING:
    from collections.abc import Iterator

SUGGESTION = {"job_id": "j", "batch_size": 32, "trial_number": 7}
VERDICT = {"stop_train": False, "converged": False, "message": "Stop condition not met, keep training"}


class Seen(NamedTuple):
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Scripted:
    """A web server that answers by a script: a status with a body, headers besides, or nothing at all."""

    def __init__(self) -> None:
        self.script: list[tuple[int, Any, dict[str, str]] | None] = []
        self.seen: list[Seen] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                scripted.seen.append(Seen(self.command, self.path, dict(self.headers), body))
                step = scripted.script.pop(0)
                if step is None:
                    self.close_connection = True
                    return
                status, answer, headers = step
                content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 -- the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def say(self, status: int, body: Any = None, **headers: str) -> None:  # noqa: ANN401 -- any JSON
        """Add an answer to the script."""
        self.script.append((status, {} if body is None else body, headers))

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def service(scripted: Scripted) -> Iterator[Service]:
    made = Service(Address.of(scripted.url, "bb_id_secret"), patience_seconds=20)
    yield made
    made.close()


def test_repeats_of_a_call_carry_one_key(scripted: Scripted, service: Service) -> None:
    scripted.script.append(None)
    scripted.say(503, {"message": "busy"})
    scripted.script.append(None)
    scripted.say(200, SUGGESTION)
    assert service.suggest("j", "the-key") == TrialName("j", 32, 7)
    assert [seen.headers["Idempotency-Key"] for seen in scripted.seen] == ["the-key"] * 4


def test_every_call_has_a_key_and_the_token(scripted: Scripted, service: Service) -> None:
    name = TrialName("a/b c", 32, 7)
    for body in ({}, SUGGESTION, SUGGESTION, VERDICT, {}, {"lease_seconds": 600.0}):
        scripted.say(200, body)
    service.register({"job_id": "a/b c"})
    service.suggest("a/b c", "k1")
    service.begin("a/b c", 32, "k2")
    service.report({"metric": float("nan")})
    service.end(name, "preempted")
    assert service.beat(name) == 600
    assert [(seen.method, seen.path) for seen in scripted.seen] == [
        ("POST", "/jobs"),
        ("GET", "/jobs/batch_size?job_id=a%2Fb+c"),
        ("POST", "/api/v1/jobs/a%2Fb%20c/trials"),
        ("POST", "/report"),
        ("PATCH", "/trials"),
        ("PUT", "/api/v1/jobs/a%2Fb%20c/trials/7/heartbeat"),
    ]
    keys = [seen.headers["Idempotency-Key"] for seen in scripted.seen]
    assert len(set(keys)) == len(keys)
    assert {seen.headers["Authorization"] for seen in scripted.seen} == {"Bearer bb_id_secret"}
    assert scripted.seen[3].body == b'{"metric": NaN}'
    assert json.loads(scripted.seen[4].body) == {**name._asdict(), "reason": "preempted"}


def test_retry_after_is_heeded_where_patience_allows(scripted: Scripted, service: Service) -> None:
    scripted.say(503, {"message": "full"}, **{"Retry-After": "60"})
    with pytest.raises(Unreachable, match=r"does not answer.*503: full"):
        service.suggest("j", "k")
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 421, 422])
def test_a_refusal_is_not_repeated(scripted: Scripted, service: Service, status: int) -> None:
    scripted.say(status, {"type": "urn:batchbandit:problem:refused", "message": "why"})
    with pytest.raises(Refused, match="why") as refused:
        service.suggest("j", "k")
    assert refused.value.status == status
    assert len(scripted.seen) == 1


@pytest.mark.parametrize("status", [200, 401, 404, 409])
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, {"detail": "Not Found"}, []])
def test_what_somebody_else_says_is_no_answer_and_refuses_nothing(
    scripted: Scripted, status: int, body: object
) -> None:
    service = Service(Address.of(scripted.url), patience_seconds=0)
    scripted.say(status, body)
    with pytest.raises(Unreachable, match="no batchbandit service"):
        service.suggest("j", "k")
    service.close()


def test_an_answer_without_an_end_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        dripping = threading.Thread(target=drip, args=(listener,))
        dripping.start()
        service = Service(Address.of(f"http://127.0.0.1:{port}"), patience_seconds=0.6)
        with pytest.raises(Unreachable, match=r"no end|no answer in time"):
            service.suggest("j", "k")
        service.close()
        dripping.join()


def drip(listener: socket.socket) -> None:
    """Answer one request, a byte at a time, until the other side has heard enough."""
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            connection.sendall(b" ")
            time.sleep(0.05)


def test_a_proxy_may_be_named_without_a_scheme(scripted: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", scripted.url[len("http://") :])
    service = Service(Address.of("http://bandit.invalid"))
    scripted.say(200, SUGGESTION)
    assert service.suggest("j", "k") == TrialName("j", 32, 7)
    assert scripted.seen[0].path.startswith("http://bandit.invalid/")
    service.close()


@pytest.mark.parametrize(
    ("url", "environment"),
    [
        ("https://127.0.0.1:9", {"SSL_CERT_FILE": "/nowhere.pem"}),
        ("http://bandit.invalid", {"all_proxy": "socks9://127.0.0.1"}),
        ("http://bandit..invalid", {}),
    ],
)
def test_what_nothing_can_be_sent_to_does_not_answer(
    url: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    service = Service(Address.of(url), patience_seconds=0)
    with pytest.raises(Unreachable, match="does not answer"):
        service.suggest("j", "k")
    service.close()


def test_a_redirect_is_a_refusal_that_says_so(scripted: Scripted, service: Service) -> None:
    scripted.say(307, b"", Location="https://elsewhere.example/")
    with pytest.raises(Refused, match=r"307.*leads elsewhere"):
        service.suggest("j", "k")


@pytest.mark.parametrize("body", [b"<html>Welcome</html>", b"[]", b'{"job_id": "j", "batch_size": true}'])
def test_what_is_no_batchbandit_service_is_unreachable(scripted: Scripted, body: bytes) -> None:
    service = Service(Address.of(scripted.url), patience_seconds=0)
    scripted.say(200, body)
    with pytest.raises(Unreachable, match="no batchbandit service"):
        service.suggest("j", "k")
    service.close()


def test_only_a_request_that_cannot_have_arrived_is_certainly_not_carried_out(scripted: Scripted) -> None:
    url = scripted.url
    service = Service(Address.of(url), patience_seconds=0)
    scripted.script.append(None)
    with pytest.raises(Unreachable) as lost:
        service.suggest("j", "k")
    assert not lost.value.is_certain
    scripted.close()
    with pytest.raises(Unreachable, match="does not answer") as refused:
        service.suggest("j", "k")
    assert refused.value.is_certain
    service.close()


@pytest.mark.parametrize(
    ("url", "token", "expected"),
    [
        ("http://host:8000/", None, Address("http://host:8000", None)),
        ("https://job:bb_x_y@host/bandit/", None, Address("https://host/bandit", "bb_x_y")),
        ("https://bb_x_y@host", None, Address("https://host", "bb_x_y")),
        ("http://job:one@[::1]:8000", "two", Address("http://[::1]:8000", "two")),
    ],
)
def test_an_address_is_a_url_and_a_token(url: str, token: str | None, expected: Address) -> None:
    assert Address.of(url, token) == expected
    assert "bb_x_y" not in repr(expected)


def test_the_environment_has_a_token_where_the_url_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATCHBANDIT_TOKEN", "bb_e_f")
    assert Address.of("http://host").token == "bb_e_f"  # noqa: S105 -- an example
    assert Address.of("http://job:bb_x_y@host").token == "bb_x_y"  # noqa: S105 -- an example


@pytest.mark.parametrize(
    "url", ["bandit:8000", "", "ftp://host", "http://", "http:///path", "http://a:b", "http://a:99999"]
)
def test_what_is_no_address_says_what_one_is(url: str) -> None:
    with pytest.raises(ValueError, match="like http://HOST:8000"):
        Address.of(url)


def test_a_token_is_what_a_file_has_without_its_newline_and_never_shown() -> None:
    assert Address.of("http://host", "bb_x_y\n").token == "bb_x_y"  # noqa: S105 -- an example
    with pytest.raises(ValueError, match="visible ASCII") as refused:
        Address.of("http://host", "bb_x\n_y")
    assert "bb_x" not in str(refused.value)
