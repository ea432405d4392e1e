"""All trials of a job as a file: what is in it, under which name, and that it is sent while it is read."""

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec import json
from pyarrow import parquet
from starlette.types import Message

from benchmarks import histories
from benchmarks.server import Server, running_server, start, stop
from core.records import Stage
from service.exposure import Exposure
from service.store.databases import open_database, run_beside
from service.views.files import COLUMNS, ROWS_A_GROUP, CsvFile
from service.views.shapes import TrialView
from service.web.app import create_app
from service.web.export import LOT, disposition
from tests.service.api.paths import path_of
from tests.service.talk import Api

MANY = 200_000
MOST_GROWTH = 80 << 20
"""Bytes by which a service may grow that sends many trials; of Parquet the first group takes most."""


@pytest.fixture(scope="module")
def job_id(http: httpx.Client) -> str:
    """Return a job with trials of every kind, with texts that are hard to write."""
    api = Api(http)
    name = str(api.register(job_id='=job, "a"\nü', job_id_prefix="")["job_id"])
    api.run(name)
    api.end(api.trial(name) | {"reason": "=cmd|' /C calc'!A0, \"x\"\r\n"})
    api.run(name, metric=0.1, current_epoch=10, energy_source="@nvml")
    api.trial(name)
    return name


@pytest.fixture
def shown(http: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """Return the trials of the job, the oldest first."""
    return list(http.get(path_of(job_id, "trials"), params={"order": "oldest"}).json()["trials"])


def exported(http: httpx.Client, job_id: str, kind: str) -> httpx.Response:
    """Return an export."""
    answer = http.get(path_of(job_id, "export"), params={"format": kind})
    assert answer.status_code == 200, answer.text
    return answer


def test_json_lines_are_the_trials_that_are_listed(
    http: httpx.Client, job_id: str, shown: list[dict[str, Any]]
) -> None:
    answer = exported(http, job_id, "jsonl")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.decode(line) for line in answer.content.splitlines()] == shown


def test_parquet_has_the_trials_that_are_listed(
    http: httpx.Client, job_id: str, shown: list[dict[str, Any]]
) -> None:
    answer = exported(http, job_id, "parquet")
    table = parquet.read_table(io.BytesIO(answer.content))
    assert tuple(table.column_names) == COLUMNS
    assert str(table.schema.field("start_timestamp").type) == "timestamp[us, tz=UTC]"
    assert table.to_pylist() == [
        {name: timed(value) if name.endswith("timestamp") else value for name, value in one.items()}
        for one in shown
    ]


def timed(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def test_csv_has_the_trials_that_are_listed_and_no_formulas(
    http: httpx.Client, job_id: str, shown: list[dict[str, Any]]
) -> None:
    answer = exported(http, job_id, "csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert tuple(rows[0]) == COLUMNS
    for row, trial in zip(rows, shown, strict=True):
        for name, text in row.items():
            value = trial[name]
            if isinstance(value, str):
                assert text == (f"'{value}" if value[0] in "=@" else value)
            elif isinstance(value, bool) or value is None:
                assert text == {True: "true", False: "false", None: ""}[value]
            else:
                assert float(text) == value
    assert rows[0]["job_id"].startswith("'=")
    assert rows[2]["energy_source"] == "'@nvml"


def test_csv_is_what_an_export_is_where_nothing_is_said(http: httpx.Client, job_id: str) -> None:
    assert http.get(path_of(job_id, "export")).content == exported(http, job_id, "csv").content


@pytest.mark.parametrize("begin", [*"=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"])
def test_no_text_of_a_csv_begins_as_a_formula_does(begin: str) -> None:
    members: dict[str, Any] = dict.fromkeys(COLUMNS) | {"failure_reason": f"{begin}1+1"}
    trial = TrialView(**members)
    [row] = csv.reader(io.StringIO(CsvFile().lot([trial]).decode(), newline=""))
    assert row[COLUMNS.index("failure_reason")] == f"'{begin}1+1"


def test_head_says_what_an_export_is_and_not_how_long(http: httpx.Client, job_id: str) -> None:
    shown, headed = exported(http, job_id, "csv"), http.head(path_of(job_id, "export"))
    assert (headed.status_code, headed.content) == (200, b"")
    unlike = {"date", "x-request-id", "transfer-encoding"}
    assert {name: value for name, value in headed.headers.items() if name not in unlike} == {
        name: value for name, value in shown.headers.items() if name not in unlike
    }


def test_an_export_is_saved_under_the_name_of_its_job(http: httpx.Client, api: Api) -> None:
    job_id = api.register(job_id="team/été", job_id_prefix="team")["job_id"]
    for kind in ("csv", "jsonl", "parquet"):
        said = exported(http, job_id, kind).headers["content-disposition"]
        plain, whole = f"team__t_-trials.{kind}", f"team_%C3%A9t%C3%A9-trials.{kind}"
        assert said == f"attachment; filename=\"{plain}\"; filename*=UTF-8''{whole}"


@pytest.mark.parametrize(
    "name",
    ['a"b', "a\\b", "a\r\nSet-Cookie: x", "../../etc", ".hidden", "", "a;b", "%", "x" * 400],
)
def test_no_name_breaks_out_of_the_header_or_the_folder(name: str) -> None:
    said = disposition(name, "csv")
    assert said.isascii()
    assert said.isprintable()
    plain = said.split('"')[1]
    assert said.count('"') == 2
    assert "/" not in plain
    assert "\\" not in plain
    assert not plain.startswith("..")
    assert len(said) < 500


def test_a_job_without_trials_is_a_file_without_rows(http: httpx.Client, api: Api) -> None:
    job_id = api.register()["job_id"]
    assert exported(http, job_id, "csv").text == ",".join(COLUMNS) + "\r\n"
    assert exported(http, job_id, "jsonl").content == b""
    assert parquet.read_table(io.BytesIO(exported(http, job_id, "parquet").content)).num_rows == 0


def test_head_tells_of_an_export_without_making_it(http: httpx.Client, job_id: str) -> None:
    for kind in ("csv", "jsonl", "parquet"):
        headed = http.head(path_of(job_id, "export"), params={"format": kind})
        assert (headed.status_code, headed.content) == (200, b"")
        for name in ("content-type", "content-disposition", "content-security-policy", "cache-control"):
            assert headed.headers[name] == exported(http, job_id, kind).headers[name]
    assert http.head(path_of("nobody's", "export")).status_code == 404


@pytest.mark.parametrize("query", ["format=xml", "format=", "format=CSV", "format=csv&format=csv", "limit=1"])
def test_what_is_no_export_is_refused(http: httpx.Client, job_id: str, query: str) -> None:
    assert http.get(f"{path_of(job_id, 'export')}?{query}").status_code == 422


def test_where_parquet_is_not_installed_the_answer_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyarrow.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with running_server() as server, httpx.Client(base_url=server.url, trust_env=False) as http:
        job_id = Api(http).register()["job_id"]
        answer = http.get(path_of(job_id, "export"), params={"format": "parquet"})
        assert (answer.status_code, answer.json()["type"]) == (501, "urn:batchbandit:problem:not-installed")
        assert "batchbandit-server[parquet]" in answer.json()["message"]
        assert exported(http, job_id, "csv").status_code == 200


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Return a service with a job of many trials."""
    folder = tmp_path_factory.mktemp("large")
    url = f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}"
    job = histories.job_of("long", Stage.MAB, 0, MANY)
    run_beside(url, partial(histories.write, job=job, length=MANY))
    server = start(folder, url)
    yield server
    stop(server)


def peak_of(server: Server) -> int:
    """Return the most bytes that a service has had in memory."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_many_trials_are_sent_in_little_memory(large: Server, kind: str) -> None:
    with httpx.Client(base_url=large.url, trust_env=False, timeout=120) as http:
        short = Api(http).register()["job_id"]
        exported(http, short, kind)  # what writes Parquet is large by itself
        before = peak_of(large)
        size = 0
        with http.stream("GET", path_of("long", "export"), params={"format": kind}) as answer:
            for part in answer.iter_bytes():
                size += len(part)
    assert size > MANY
    assert peak_of(large) - before < MOST_GROWTH


def test_who_reads_slowly_is_read_for_slowly(large: Server) -> None:
    """The first bytes come before the last trial is read: one that is dispatched meanwhile is in the file."""
    with httpx.Client(base_url=large.url, trust_env=False, timeout=120) as http:
        with http.stream("GET", path_of("long", "export"), params={"format": "jsonl"}) as answer:
            lines = answer.iter_lines()
            assert json.decode(next(lines))["trial_number"] == 1
            with httpx.Client(base_url=large.url, trust_env=False, timeout=120) as other:
                new = Api(other).trial("long")["trial_number"]
            last = ""
            for line in lines:
                last = line
        assert json.decode(last)["trial_number"] == new > MANY


def test_who_hangs_up_is_read_for_no_more(tmp_path: Path) -> None:
    async def run() -> int:
        database = await asyncio.to_thread(open_database, url)
        app = create_app(
            database,
            Exposure(may_be_open=True, is_local=True),
            queue_limit=100,
            key_seconds=60,
            event_seconds=86400,
            listener_limit=10,
        )
        reads = 0
        plain_read = database.read

        async def counted_read(work: Any) -> Any:  # noqa: ANN401
            nonlocal reads
            reads += 1
            return await plain_read(work)

        database.read = counted_read  # type: ignore[method-assign]
        hung_up = asyncio.Event()

        async def receive() -> Message:
            await hung_up.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message.get("body"):
                hung_up.set()
            await asyncio.sleep(0)

        path = path_of("long", "export")
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"format=jsonl",
            "headers": [(b"host", b"localhost")],
        }
        async with app.router.lifespan_context(app):
            await app(scope, receive, send)
        return reads

    url = f"sqlite+aiosqlite:///{tmp_path / 'batchbandit.db'}"
    job = histories.job_of("long", Stage.MAB, 0, 20 * LOT)
    run_beside(url, partial(histories.write, job=job, length=20 * LOT))
    assert 1 < asyncio.run(run()) < 10


def test_parquet_comes_in_groups(large: Server) -> None:
    with httpx.Client(base_url=large.url, trust_env=False, timeout=120) as http:
        content = exported(http, "long", "parquet").content
    file = parquet.ParquetFile(io.BytesIO(content))
    assert file.metadata.num_rows >= MANY
    assert file.metadata.num_row_groups == -(-file.metadata.num_rows // ROWS_A_GROUP)
