"""A load generator: jobs that ask for batch sizes, report and finish, as fast as the server answers.

Without a URL it starts a server of its own. Each connection works on one job and has one request under way.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from io import FileIO
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec
import uvloop
from rich.console import Console

from benchmarks.server import ServerFailed, running_server, stop_when_terminated
from benchmarks.tally import Result, Tally, table
from benchmarks.wire import Connection, Dropped, request
from benchmarks.worker import BATCH_SIZES, ENDPOINTS, POWER, Worker

GRACE = 5.0
"""Seconds that the last answers may take when the time is up."""
WIDTH = 100
"""Columns of output that does not go to a terminal."""


class LoadFailed(Exception):
    """The load could not begin."""


async def run_load(
    url: str,
    *replicas: str,
    connections: int = 64,
    jobs: int = 64,
    seconds: float = 10,
    warmup: float = 2,
    ack_log: Path | None = None,
    job_ids: Sequence[str] | None = None,
    is_persistent: bool = False,
) -> Result:
    """Put a server under load.

    Args:
        url: Where the server is, such as ``http://127.0.0.1:8000``, or ``http://job:TOKEN@127.0.0.1:8000``.
        replicas: Where others are that serve the same database: the connections take turns among them.
        connections: How many requests are under way at a time.
        jobs: How many jobs to register; connection ``i`` works on job ``i % jobs``.
        seconds: How long to measure.
        warmup: Seconds of load before that.
        ack_log: A file to append every acknowledged suggestion and end of a trial to, one ``Ack`` a line,
            written before the next request goes out.
        job_ids: Jobs to work on instead, as ``register`` returned them, all of them: connection ``i`` takes
            turns on every job ``i + k * connections``.
        is_persistent: Whether a server that cannot be reached is asked again, instead of ending the load.

    Raises:
        LoadFailed: The jobs could not be registered.
    """
    targets = [urlsplit(one) for one in (url, *replicas)]
    stride = connections
    if job_ids is None:
        job_ids = await register(url, jobs)
        stride = jobs
    began, cpu_began = time.perf_counter(), time.process_time()
    opens, closes = began + warmup, began + warmup + seconds
    tally = Tally(opens, closes)
    with nullcontext() if ack_log is None else FileIO(ack_log, "a") as log:
        workers = [
            Worker(
                targets[i % len(targets)],
                job_ids[i % len(job_ids) :: stride],
                closes,
                tally,
                log,
                is_persistent=is_persistent,
            )
            for i in range(connections)
        ]
        await _finish([asyncio.create_task(worker.run()) for worker in workers], warmup + seconds + GRACE)
    ended = time.perf_counter()
    measured = max(0.0, min(ended, closes) - opens)
    return Result(
        connections=connections,
        jobs=len(job_ids),
        seconds=round(measured, 3),
        attempts=tally.attempts,
        generator_cpu=round((time.process_time() - cpu_began) / (ended - began), 3),
        endpoints=tally.endpoints(ENDPOINTS, measured),
        total=tally.total(measured),
    )


async def register(server: str, jobs: int) -> list[str]:
    """Register new jobs and return their names.

    Raises:
        LoadFailed: The server cannot be reached, or refuses.
    """
    url = urlsplit(server)
    named = f"{url.scheme}://{url.netloc.rpartition('@')[2]}"  # without the token
    run = secrets.token_hex(4)
    job_ids = [f"load-{run}-{i}" for i in range(jobs)]
    try:
        with closing(await Connection.open(url)) as connection:
            for seed, job_id in enumerate(job_ids):
                body = msgspec.json.encode(job_body(job_id, mab_seed=seed))
                answer = await connection.exchange(request("POST", "/jobs", url.netloc, body))
                if not answer.succeeded:
                    text = answer.body.decode(errors="replace")
                    raise LoadFailed(f"{named} refused a job: {answer.status} {text}")
    except (OSError, Dropped) as error:
        raise LoadFailed(f"{named} cannot be reached: {error}") from None
    return job_ids


def job_body(job_id: str, **members: object) -> dict[str, object]:
    """Return the specification of a job, its prefix what its name has before the first hyphen."""
    return {
        "job_id": job_id,
        "job_id_prefix": job_id.partition("-")[0],
        "batch_sizes": BATCH_SIZES,
        "default_batch_size": BATCH_SIZES[-1],
        "max_power": POWER,
        "number_of_gpus": 1,
        "gpu_model": "load",
        **members,
    }


async def _finish(tasks: list[asyncio.Task[None]], limit: float) -> None:
    """Wait for the workers, and for no longer than a limit in seconds."""
    done, late = await asyncio.wait(tasks, timeout=limit)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    for task in done:
        task.result()


def _server_url(_: click.Context, __: click.Parameter, url: str | None) -> str | None:
    """Check the address of a server."""
    if url is not None and (urlsplit(url).scheme != "http" or not urlsplit(url).hostname):
        raise click.BadParameter("write it as http://HOST:PORT")
    return url


@click.command(context_settings={"show_default": True})
@click.argument("url", required=False, callback=_server_url)
@click.option("--connections", type=click.IntRange(min=1), default=64, help="Requests under way at a time.")
@click.option("--jobs", type=click.IntRange(min=1), default=64, help="Jobs that the connections share.")
@click.option(
    "--seconds", type=click.FloatRange(min=0, min_open=True), default=10, help="How long to measure."
)
@click.option("--warmup", type=click.FloatRange(min=0), default=2, help="Seconds of load before that.")
@click.option(
    "--ack-log", type=click.Path(path_type=Path), help="Append what the server acknowledged to a file."
)
@click.option("--json-only", is_flag=True, help="Print no table, only the line of JSON.")
def main(
    *,
    url: str | None,
    connections: int,
    jobs: int,
    seconds: float,
    warmup: float,
    ack_log: Path | None,
    json_only: bool,
) -> None:
    """Put the server at URL under load, or without a URL one that is started for the purpose."""
    stop_when_terminated()
    try:
        with _server(url) as target, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            result = runner.run(
                run_load(
                    target,
                    connections=connections,
                    jobs=jobs,
                    seconds=seconds,
                    warmup=warmup,
                    ack_log=ack_log,
                )
            )
    except (ServerFailed, LoadFailed, OSError) as error:
        raise click.ClickException(str(error)) from None
    if not json_only:
        console = Console()
        console.print(table(result), width=None if console.is_terminal else WIDTH)
    print(msgspec.json.encode(result).decode())


@contextmanager
def _server(url: str | None) -> Iterator[str]:
    """Give the URL of the server, of one's own where none is named."""
    if url is None:
        with running_server() as server:
            yield server.url
    else:
        yield url


if __name__ == "__main__":
    main()
