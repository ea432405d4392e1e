"""Requests made from the service's own OpenAPI document, by schemathesis, alone and along its links.

    python -m tests.fuzz.calls --inputs 100000

Every check of schemathesis is on, and one more: a refused request has written nothing.
"""

import io
import secrets
import sqlite3
import subprocess
import sys
import time
from contextlib import chdir, closing, redirect_stdout
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import click
import schemathesis
from schemathesis import GenerationMode
from schemathesis.cli import schemathesis as command_line

from benchmarks.server import Server, running_server
from service.engine.admission import STALE_SECONDS
from tests.fuzz.counts import Counts

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
ANSWER_LIMIT = 10
"""Seconds after which a request that has no answer hangs."""
LEAST_EXAMPLES = 10
MOST_EXAMPLES = 200
"""For each call, in one round of schemathesis."""
LARGEST_POWER = 1e40
LEAST_LEASE = 86_400
MEASURED = (1.0, 1e40)
"""Seconds and joules that make a cost, whatever a job's eta_knob and max_power are."""


def watch(counts: Counts, database: sqlite3.Connection) -> None:
    """Let schemathesis mend its cases, count answers and find refused requests that write.

    There is one request at a time, so that what is written while it runs is its own, but for when the token
    was last used, which is noted once a minute.
    """
    before = (0, "")
    writers: set[str] = set()

    def state() -> tuple[int, str]:
        """Return a number that another connection's commit changes, and when the token was last used."""
        [version] = database.execute("PRAGMA data_version").fetchone()
        [used] = database.execute('SELECT last_used_timestamp FROM "Token"').fetchone()
        return version, used

    def before_call(_context: object, case: Any, _kwargs: object) -> None:  # noqa: ANN401  (no types without the extra)
        nonlocal before
        mend(case, database)
        before = state()

    def after_call(_context: object, case: Any, response: Any) -> None:  # noqa: ANN401
        counts.note(response.status_code)
        if response.status_code < HTTPStatus.BAD_REQUEST:
            return
        (version, used), (version_before, used_before) = state(), before
        if version != version_before and used == used_before:
            writers.add(case.id)

    def a_refusal_writes_nothing(_context: object, _response: object, case: Any) -> None:  # noqa: ANN401
        assert case.id not in writers, "A refused request has written to the database"

    schemathesis.hook(before_call)
    schemathesis.hook(after_call)
    schemathesis.check(a_refusal_writes_nothing)


def mend(case: Any, database: sqlite3.Connection) -> None:  # noqa: ANN401
    """Mend what is valid by the document and yet refused, since JSON Schema has no words for it."""
    if isinstance(case.body, dict) and isinstance(case.body.get("lease_seconds"), int | float):
        # A trial that expired by itself meanwhile would look as if a refused request had written.
        case.body["lease_seconds"] = max(case.body["lease_seconds"], LEAST_LEASE)
    if case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if "cursor" in (case.query or {}):
        del case.query["cursor"]  # only what a page has given is one
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = secrets.token_hex()  # one that came before is a 422
    if isinstance(case.body, dict):
        case.body = in_whole_numbers(case.body)
        mend_body = {"POST /jobs": mend_job, "POST /report": mend_report}.get(case.operation.label)
        if mend_body is not None:
            mend_body(case.body)
        if case.operation.label == "POST /api/v1/jobs/{job_id}/trials":
            mend_size(case, database)


def mend_size(case: Any, database: sqlite3.Connection) -> None:  # noqa: ANN401
    """Let a trial begin at a batch size of its job, if there is such a job."""
    sizes = 'SELECT batch_size FROM "BatchSize" WHERE job_id = ?'
    for (size,) in database.execute(sizes, [unquote(str(case.path_parameters["job_id"]))]):
        case.body["batch_size"] = size


def in_whole_numbers(value: object) -> Any:  # noqa: ANN401  (any JSON)
    """Return JSON whose whole numbers are integers: the service takes no 16.0 for a batch size."""
    match value:
        case dict():
            return {name: in_whole_numbers(member) for name, member in value.items()}
        case list():
            return [in_whole_numbers(item) for item in value]
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
    return value


def mend_job(body: dict[str, Any]) -> None:
    """Let the members of a specification fit each other."""
    body["default_batch_size"] = body["batch_sizes"][0]
    body["max_power"] = min(body["max_power"], LARGEST_POWER)
    if body.get("job_id") is not None:
        body["job_id_prefix"] = body["job_id"][: len(body["job_id_prefix"])]
    if body.get("warm_start_from") is not None:
        body["warm_start_from"] = "*" if body.get("policy") == "frugal" else None


def mend_report(body: dict[str, Any]) -> None:
    """Let seconds and joules make a cost."""
    for name in ("time", "energy"):
        body[name] = min(max(body[name], MEASURED[0]), MEASURED[1])


def fuzz(server: Server, inputs: int, seed: int) -> Counts:
    """Send at least so many requests to a server on SQLite, which asks for a token."""
    counts = Counts("schemathesis")
    made = subprocess.run(
        [
            str(Path(sys.executable).with_name("batchbandit")),
            "token",
            "create",
            "--role",
            "admin",
            "--database-url",
            server.database_url,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    time.sleep(2 * STALE_SECONDS)  # until the service has noticed
    with closing(sqlite3.connect(server.database, check_same_thread=False)) as database:
        watch(counts, database)
        while counts.inputs < inputs and not counts.findings:
            before = counts.inputs
            counts.findings += run(server.url, made.stdout.strip(), examples_for(inputs - before), seed)
            seed += 1
    return counts


def examples_for(inputs: int) -> int:
    """Return how many examples a call make about so many inputs of a round."""
    return min(max(inputs // 30, LEAST_EXAMPLES), MOST_EXAMPLES)


def run(url: str, token: str, examples: int, seed: int) -> int:
    """Run schemathesis once, in silence unless it finds something; return its exit code."""
    options = {
        "--checks": "all",
        "--phases": "examples,coverage,fuzzing,stateful",
        "--mode": "all",
        "--max-examples": str(examples),
        "--seed": str(seed),
        "--request-timeout": str(ANSWER_LIMIT),
        "--exclude-path": "/api/v1/events",  # whose answer has no end
        "--generation-database": "none",
        "--header": f"Authorization: Bearer {token}",
    }
    words = [
        "--config-file",
        str(CONFIGURATION),
        "run",
        f"{url}/openapi.json",
        "--continue-on-failure",
        "--no-color",
    ]
    for option in options.items():
        words += option
    told, code = io.StringIO(), 0
    try:
        with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(told):  # it keeps a cache in .
            command_line.main(words)
    except SystemExit as end:
        code = int(end.code or 0)
    if code:
        click.echo(told.getvalue())
    return code


@click.command(help=__doc__)
@click.option("--inputs", default=500, help="Requests to send, at least.")
@click.option("--seed", default=None, type=int, help="Of the first round; random without.")
def main(inputs: int, seed: int | None) -> None:
    """Fuzz a server of our own."""
    with running_server() as server:
        counts = fuzz(server, inputs, secrets.randbits(31) if seed is None else seed)
    click.echo(counts.line())
    raise SystemExit(bool(counts.findings))


if __name__ == "__main__":
    main()
