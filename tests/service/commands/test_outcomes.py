"""Whatever answers, or does not, becomes an exit code and a sentence."""

import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx
import msgspec
import pytest

from service import errors
from service.commands.outcomes import Exit
from service.commands.responses import refusal_of
from service.store import checking
from service.web.answers import problem
from tests.service.commands.conftest import PROGRAM, Run

CODES = {
    errors.Unauthorized.problem: Exit.NOT_ALLOWED,
    errors.Forbidden.problem: Exit.NOT_ALLOWED,
    errors.ForeignOrigin.problem: Exit.NOT_ALLOWED,
    errors.OpenToProxy.problem: Exit.NOT_ALLOWED,
    errors.UnknownHost.problem: Exit.UNUSABLE,
    errors.JobNotFound.problem: Exit.NOT_FOUND,
    errors.TrialNotFound.problem: Exit.NOT_FOUND,
    errors.RequestTimeout.problem: Exit.UNAVAILABLE,
    errors.Unavailable.problem: Exit.UNAVAILABLE,
    errors.Overloaded.problem: Exit.UNAVAILABLE,
    errors.DatabaseUnavailable.problem: Exit.UNAVAILABLE,
    errors.ServiceError.problem: Exit.UNAVAILABLE,
}


@pytest.mark.parametrize("kind", errors.by_problem().values(), ids=lambda kind: kind.problem)
def test_every_refusal_of_the_service_has_an_exit_code_and_keeps_its_sentence(
    kind: type[errors.ServiceError],
) -> None:
    body = msgspec.json.encode(problem(kind.problem, kind.status, "A sentence\x1b[2J."))
    failed = refusal_of(httpx.Response(kind.status, content=body), "http://there")
    assert failed.exit_code == CODES.get(kind.problem, Exit.REFUSED)
    assert failed.message.startswith("A sentence\\x1b[2J.")


@pytest.mark.parametrize(
    ("status", "code"),
    [(200, 2), (302, 2), (403, 5), (404, 2), (418, 2), (429, 6), (500, 6), (502, 6), (503, 6), (504, 6)],
)
def test_answers_that_are_not_a_services_are_told_apart(run: Run, status: int, code: int) -> None:
    page = b"<html>"
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Length: {len(page)}\r\n\r\n".encode()
    with answering(head + page) as url:
        done = run("jobs", "ls", "--url", url)
    assert (done.code, done.out) == (code, "")
    assert url in done.err


def test_a_service_of_an_older_release_is_said_to_be_one(run: Run) -> None:
    for status in (HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED):
        kind = status.phrase.lower().replace(" ", "-")
        body = msgspec.json.encode(problem(kind, status, "There is nothing."))
        with answering(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)) as url:
            done = run("jobs", "ls", "--url", url)
        assert done.code == 2
        assert "upgrade it" in done.err


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("http://127.0.0.1:1", 6, "no service answers at http://127.0.0.1:1"),
        ("http://secret:word@127.0.0.1:1", 6, "no service answers at http://127.0.0.1:1"),
        ("http://nowhere.invalid", 6, "no service answers at http://nowhere.invalid"),
        ("ftp://127.0.0.1", 2, "http://HOST:8000"),
        ("127.0.0.1:8000", 2, "http://HOST:8000"),
        ("http://127.0.0.1:99999", 2, "--url"),
        ("http://[::1", 2, "--url"),
    ],
)
def test_where_no_service_is_the_sentence_says_so(run: Run, url: str, code: int, said: str) -> None:
    done = run("jobs", "ls", "--url", url)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "word" not in done.err
    assert "Traceback" not in done.err


def test_an_answer_that_is_broken_off_is_told_with_what_may_have_been_done(run: Run) -> None:
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{") as url:
        reading, changing = (
            run("jobs", "show", "job", "--url", url),
            run("jobs", "pause", "job", "--url", url),
        )
    assert (reading.code, changing.code) == (6, 6)
    assert "broke its answer off" in reading.err
    assert "try again" in reading.err
    assert "it may have been done" in changing.err


def test_a_token_that_no_header_can_have_is_a_usage_error_and_not_shown(run: Run) -> None:
    done = run("jobs", "ls", "--url", "http://127.0.0.1:1", "--token", "bb_\nsecret")
    assert done.code == 2
    assert "secret" not in done.err


def test_a_command_that_is_interrupted_says_so_by_its_code(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checking, "check", interrupt)
    done = run("db", "check")  # whose 1 would say that something is wrong
    assert (done.code, done.out, done.err) == (130, "", "Error: interrupted\n")


@pytest.mark.parametrize(("end", "code"), [("| true", 141), (">/dev/full", 2)])
def test_an_output_that_nobody_takes_is_no_fault_of_the_program(end: str, code: int) -> None:
    script = f'"$0" completion bash {end}; exit "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", script, PROGRAM],  # noqa: S607  (whichever is installed)
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr


def test_what_is_no_text_is_a_usage_error(run: Run) -> None:
    for command in (("jobs", "show", "\udcff"), ("jobs", "ls", "--prefix", "\udcff")):
        done = run(*command, "--url", "http://127.0.0.1:1")
        assert (done.code, done.out) == (2, "")
        assert "Error:" in done.err


@contextmanager
def answering(said: bytes) -> Iterator[str]:
    """Answer every request the same, and close; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener, lambda: said), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def serve(listener: socket.socket, answer: Callable[[], bytes]) -> None:
    """Answer until the listener is closed."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.recv(65536)
            connection.sendall(answer())
