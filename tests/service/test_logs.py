"""The log: one form for all who write it, what it says of requests, and what it never says."""

import asyncio
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from benchmarks.server import Child, free_port, launch, stop
from service.context import Asked, concerned, on_behalf_of
from service.credentials import Role
from service.engine.commands import Suggest
from service.engine.commit import GroupCommit
from service.errors import DatabaseUnavailable
from service.logs import ConsoleLines, Format, JsonLines, Level, Logs, fields
from service.serve_command import serve
from tests.service.access.holders import make_token
from tests.service.talk import Api

T = TypeVar("T")

PROGRAM = str(Path(sys.executable).parent / "batchbandit")


@contextmanager
def serving(folder: Path, *options: str, url: str | None = None) -> Iterator[tuple[Child, httpx.Client]]:
    """Serve a SQLite file, or another database, with options; give the server and a client."""
    port = free_port()
    url = url or f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}"
    command = [PROGRAM, "serve", "--port", str(port), "--database-url", url, *options]
    child = launch(command, port, folder / "server.log")
    try:
        with httpx.Client(base_url=child.url, timeout=30, trust_env=False) as http:
            yield child, http
    finally:
        stop(child)


def entries(child: Child) -> list[dict[str, Any]]:
    """Return what a server has logged as JSON; every line is an entry."""
    return [json.loads(line) for line in child.log.read_text().splitlines()]


def entry_of(child: Child, answer: httpx.Response) -> dict[str, Any]:
    """Return what a server has logged of a request, which it does after the answer."""
    deadline = time.monotonic() + 10
    while True:
        for entry in entries(child):
            if entry.get("request_id") == answer.headers["x-request-id"]:
                return entry
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def talkative(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, httpx.Client]]:
    """Return a server that logs all that it can, as JSON, and a client that has a token."""
    folder = tmp_path_factory.mktemp("logs")
    token = make_token(f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}", Role.ADMIN)
    with serving(folder, "--log-format", "json", "--log-level", "debug") as (child, http):
        http.headers["Authorization"] = f"Bearer {token}"
        yield child, http


def test_a_request_has_the_name_that_it_came_with_in_its_answer_and_its_line(
    talkative: tuple[Child, httpx.Client],
) -> None:
    child, http = talkative
    job_id = Api(http).register()["job_id"]
    answer = http.get("/jobs/batch_size", params={"job_id": job_id}, headers={"X-Request-Id": "mine/1"})
    assert answer.headers["x-request-id"] == "mine/1"
    entry = entry_of(child, answer)
    assert entry | {"timestamp": ..., "milliseconds": ..., "process": ...} == {
        "timestamp": ...,
        "level": "debug",
        "logger": "batchbandit.requests",
        "process": ...,
        "message": "GET /jobs/batch_size",
        "request_id": "mine/1",
        "job_id": job_id,
        "status": 200,
        "milliseconds": ...,
    }
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["timestamp"])


@pytest.mark.parametrize("name", ["", "a b", "x" * 129, "caf\xe9", 'a\tb"'])
def test_a_name_that_is_none_is_replaced(talkative: tuple[Child, httpx.Client], name: str) -> None:
    _, http = talkative
    answer = http.get("/healthz", headers=[(b"X-Request-Id", name.encode("latin-1"))])
    assert re.fullmatch("[0-9a-f]{16}", answer.headers["x-request-id"])


def test_no_two_requests_get_the_same_name(talkative: tuple[Child, httpx.Client]) -> None:
    _, http = talkative
    assert len({http.get("/healthz").headers["x-request-id"] for _ in range(50)}) == 50


def test_a_refusal_is_logged_with_its_problem(talkative: tuple[Child, httpx.Client]) -> None:
    child, http = talkative
    answer = http.get("/jobs/batch_size", params={"job_id": "nobody"})
    entry = entry_of(child, answer)
    assert (entry["level"], entry["status"], entry["problem"]) == ("info", 400, "unknown-job")
    assert entry["job_id"] == "nobody"


def test_what_is_no_call_is_logged_with_its_path_and_without_its_query(
    talkative: tuple[Child, httpx.Client],
) -> None:
    child, http = talkative
    answer = http.get("/nothing%0a%1b[31m" + "x" * 200 + "?token=hush-query")
    entry = entry_of(child, answer)
    assert entry["message"] == "other"
    assert entry["path"].startswith("/nothing\n\x1b[31mxxx")
    assert len(entry["path"]) == 100
    assert "\x1b" not in child.log.read_text()
    assert "hush-query" not in child.log.read_text()


def test_uvicorn_logs_in_the_same_form(talkative: tuple[Child, httpx.Client]) -> None:
    child, _ = talkative
    assert {"uvicorn.error", "batchbandit.serving"} <= {entry["logger"] for entry in entries(child)}


def test_no_secret_is_logged_whatever_the_level(talkative: tuple[Child, httpx.Client]) -> None:
    child, http = talkative
    token = http.headers["Authorization"].removeprefix("Bearer ")
    sent = {"Cookie": "batchbandit_token=hush-cookie", "Idempotency-Key": "hush-key"}
    job_id = Api(http).register()["job_id"]
    for headers in (sent, sent | {"Authorization": "Bearer hush-wrong"}):
        for path in (f"/jobs/batch_size?job_id={job_id}", "/jobs/batch_size", "/nothing", "/metrics"):
            http.get(path, headers=headers)
        http.post("/jobs", headers=headers, content=b"{")
    last = http.post("/signin", headers=sent, data={"token": "hush-form"})
    entry_of(child, last)
    said = child.log.read_text()
    assert said.count("batchbandit.requests") > 10
    assert [line for line in said.splitlines() if "hush" in line or token.split("_", 2)[2] in line] == []


def test_how_to_log_is_said_by_variables_too() -> None:
    variables = {"BATCHBANDIT_LOG_FORMAT": "JSON", "BATCHBANDIT_LOG_LEVEL": "warning"}
    with CliRunner(env=variables).isolation():
        said = serve.make_context("serve", []).params
    assert (said["log_format"], said["log_level"]) == (Format.JSON, Level.WARNING)


def drop_trials(url: str) -> None:
    """Take the trials away from under a service."""

    async def drop() -> None:
        connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
        await connection.execute('DROP TABLE "Trial" CASCADE')
        await connection.close()

    asyncio.run(drop())


def test_a_fault_is_told_by_one_name_in_the_answer_and_in_all_that_is_logged_of_it(
    tmp_path: Path, new_postgres_url: Callable[[], str]
) -> None:
    url = new_postgres_url()
    with serving(tmp_path, "--log-format", "json", url=url) as (child, http):
        job_id = Api(http).register()["job_id"]
        drop_trials(url)
        answer = Api(http).suggest(job_id)
    assert answer.status_code == 500
    said = [one for one in entries(child) if one.get("request_id") == answer.headers["x-request-id"]]
    assert {entry["logger"] for entry in said} == {
        "batchbandit.engine",
        "batchbandit.requests",
        "uvicorn.error",
    }
    assert {(entry["level"], entry["job_id"]) for entry in said} == {("error", job_id)}
    assert [entry["problem"] for entry in said if "problem" in entry] == ["internal"]


class Broken:
    """A database whose transactions all fail."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def transact(self, work: Callable[[Connection], T], *, is_lone: bool = False) -> T:  # noqa: ARG002
        """Fail."""
        raise self.error


@pytest.mark.parametrize("error", [DatabaseUnavailable(), ZeroDivisionError()])
def test_an_error_of_a_transaction_is_logged_with_the_requests_that_it_concerns(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonLines())

    async def ask(engine: GroupCommit, number: int) -> None:
        concerned.set((Asked(f"request-{number}", f"job-{number}"),))
        with pytest.raises(type(error)):
            await engine.submit(Suggest(f"job-{number}"))

    async def scene() -> None:
        async with GroupCommit(Broken(error), 100) as engine:
            await asyncio.gather(*(ask(engine, number) for number in range(3)))

    asyncio.run(scene())
    entry = json.loads(caplog.text.splitlines()[0])
    assert entry["request_ids"] == ["request-0", "request-1", "request-2"]
    assert entry["job_ids"] == ["job-0", "job-1", "job-2"]
    assert type(error).__name__ in entry["exception"]


def record(message: str, **said: object) -> logging.LogRecord:
    """Return an entry."""
    made = logging.LogRecord("batchbandit.test", logging.INFO, __file__, 1, "%s", (message,), None)
    made.__dict__.update(fields(**said))
    return made


@settings(deadline=None)
@given(st.text(), st.text(), st.text())
def test_no_text_makes_a_second_entry_or_moves_a_terminal(message: str, value: str, job_id: str) -> None:
    with on_behalf_of([Asked("request", job_id)]):
        line = ConsoleLines().format(record(message, value=value))
        entry = json.loads(JsonLines().format(record(message, value=value)))
    assert line.isprintable()
    assert line.count(" request_id=") == 1 or " request_id=" in message
    assert (entry["message"], entry["value"], entry["job_id"]) == (message, value, job_id)


def test_a_traceback_stays_below_its_entry() -> None:
    entry = record("failed")
    try:
        {"a": "b"}["said\n2026-01-01T00:00:00.000Z ERROR   forged: \x1b[2J"]
    except KeyError:
        entry.exc_info = sys.exc_info()
    first, *others = ConsoleLines().format(entry).splitlines()
    assert first.endswith("batchbandit.test: failed")
    assert others
    assert all(line.startswith("    ") and line.isprintable() for line in others)
    assert "forged" in json.loads(JsonLines().format(entry))["exception"]


@pytest.fixture
def logging_as() -> Iterator[Callable[[Logs], None]]:
    """Return what lets this process log, until the test is over."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield Logs.begin
    logging.captureWarnings(capture=False)
    for name in ("batchbandit", "uvicorn"):
        logging.getLogger(name).setLevel(logging.NOTSET)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_level_leaves_out_what_is_below_it(
    logging_as: Callable[[Logs], None], capsys: pytest.CaptureFixture[str]
) -> None:
    logging_as(Logs(Format.CONSOLE, Level.WARNING))
    for name in ("batchbandit.requests", "uvicorn.error"):
        logging.getLogger(name).info("said")
        logging.getLogger(name).warning("warned")
    said = capsys.readouterr().err
    assert (said.count("said"), said.count("warned")) == (0, 2)


def test_libraries_say_nothing_below_a_warning(
    logging_as: Callable[[Logs], None], capsys: pytest.CaptureFixture[str]
) -> None:
    logging_as(Logs(Format.JSON, Level.DEBUG))
    logging.getLogger("aiosqlite").debug("executing %s", "a secret")
    logging.getLogger("batchbandit.engine").debug("said")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line) | {"timestamp": ...} == {
        "timestamp": ...,
        "level": "debug",
        "logger": "batchbandit.engine",
        "process": os.getpid(),
        "message": "said",
    }
