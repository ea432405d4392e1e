"""The section of latency against history: request by request, a long history beside a short one."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
from msgspec import Struct, to_builtins
from sqlalchemy import Connection as Transaction

from benchmarks import histories
from benchmarks.effort import Effort
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import chart, curves
from benchmarks.postgres import Postgres, create_database, running_postgres
from benchmarks.server import Server, ServerFailed, start, stop
from benchmarks.spread import Interval, paired_ratio
from benchmarks.wire import Connection, request
from core.records import Stage
from service.store import revision
from service.store.opening import parsed
from service.store.postgres import run_once
from service.store.sqlite import writing_engine

SCENES = ((Stage.MAB, 0), (Stage.MAB, 10), (Stage.PRUNING, 0))
USES = 10
"""Trainings of one short job, which would not stay one."""
WARMUP = 50
Seconds = tuple[float, float, float, float]


class Growth(Struct, frozen=True):
    """How many times as long calls take at a history's length as at the shortest one."""

    store: str
    stage: str
    window: int
    length: int
    suggest: Interval
    report: Interval


def long_name(length: int) -> str:
    """Return the name of the job of so many finished trials."""
    return f"long-{length}"


def fill(effort: Effort, stage: Stage, window: int, transaction: Transaction) -> None:
    """Create the tables, a job of each long history, and short ones to take turns."""
    revision.upgrade(transaction)
    shortest, *lengths = effort.lengths
    for length in lengths:
        histories.write(transaction, histories.job_of(long_name(length), stage, window, length + 1), length)
    for number in range(len(lengths) * (effort.pairs + WARMUP) // USES + 1):
        job = histories.job_of(f"short-{number}", stage, window, shortest + 1)
        histories.write(transaction, job, shortest)


@contextmanager
def served(effort: Effort, postgres: Postgres | None, stage: Stage, window: int) -> Iterator[Server]:
    """Serve such a database, a SQLite file where there is no Postgres."""
    write = partial(fill, effort, stage, window)
    with TemporaryDirectory(prefix="batchbandit-") as name:
        folder = Path(name)
        url = None
        if postgres is None:
            engine = writing_engine(folder / "batchbandit.db")
            with engine.begin() as connection:
                write(connection)
            engine.dispose()
        else:
            url = create_database(postgres, f"{stage.value.lower()}_{window}")
            run_once(parsed(url), write)
        server = start(folder, url)
        try:
            yield server
        finally:
            stop(server)


async def train(connection: Connection, url: SplitResult, job_id: str) -> tuple[float, float]:
    """Let a job recur once; return the seconds of its suggestion and of its report."""
    began = time.perf_counter()
    asked = await connection.exchange(request("GET", f"/jobs/batch_size?job_id={job_id}", url.netloc))
    suggested = time.perf_counter()
    if not asked.succeeded:
        raise ServerFailed(asked.body.decode())
    said = {"time": 100.0, "energy": 20_000.0, "metric": 1.0, "current_epoch": 1}
    body = msgspec.json.encode(msgspec.json.decode(asked.body) | said)
    reporting = time.perf_counter()
    told = await connection.exchange(request("POST", "/report", url.netloc, body))
    reported = time.perf_counter()
    if not told.succeeded:
        raise ServerFailed(told.body.decode())
    return suggested - began, reported - reporting


async def pairs(server: Server, job_id: str, first_short: int, count: int) -> list[Seconds]:
    """Let a long job and short ones recur in turn; return the seconds of each pair's four calls."""
    url = urlsplit(server.url)
    found = []
    with closing(await Connection.open(url)) as connection:
        for number in range(count):
            both = [job_id, f"short-{first_short + number // USES}"]
            if number % 2:
                both.reverse()
            seconds = {name: await train(connection, url, name) for name in both}
            found.append((*seconds.pop(job_id), *next(iter(seconds.values()))))
    return found


def measure(effort: Effort, postgres: Postgres | None, stage: Stage, window: int) -> list[Growth]:
    """Measure all lengths of a kind of job on Postgres, or on SQLite."""
    found = []
    with served(effort, postgres, stage, window) as server:
        for place, length in enumerate(effort.lengths[1:]):
            first = place * ((effort.pairs + WARMUP) // USES)
            seconds = asyncio.run(pairs(server, long_name(length), first, effort.pairs + WARMUP))[WARMUP:]
            suggest, report, short_suggest, short_report = zip(*seconds, strict=True)
            found.append(
                Growth(
                    "SQLite" if postgres is None else "Postgres",
                    stage.value,
                    window,
                    length,
                    paired_ratio(suggest, short_suggest),
                    paired_ratio(report, short_report),
                )
            )
    return found


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    with running_postgres() as postgres:
        growths = [
            growth
            for store in (None, postgres)
            for scene in SCENES
            for growth in measure(effort, store, *scene)
        ]
    shortest = effort.lengths[0]
    rows = [
        (g.store, g.stage, str(g.window), f"{g.length:,}", g.suggest.shown(), g.report.shown())
        for g in growths
    ]
    figure, axes = chart(f"Latency over that at {shortest} finished trials", "ratio", columns=2)
    for each, call in zip(axes, ("suggest", "report"), strict=True):
        series: dict[str, list[Interval]] = {}
        for growth in growths:
            name = f"{growth.store}, {growth.stage}, window {growth.window}"
            series.setdefault(name, []).append(getattr(growth, call))
        curves(each, effort.lengths[1:], series)
        each.set_xscale("log")
        each.set_xlabel(f"{call}: finished trials")
    data: Any = to_builtins(growths)
    return Page(
        title="Latency against history",
        note=(
            f"A job of so many finished trials beside jobs of {shortest}, on one connection to one server, "
            f"call by call in turn, {effort.pairs:,} pairs: the median of the pairs' ratios with its 95 % "
            f"bootstrap interval. A short job recurs {USES} times and gives way to another one, or it would "
            "grow."
        ),
        tables=[Table(("store", "stage", "window", "finished trials", "suggest", "report"), rows)],
        pictures={"history": figure},
        data=data,
    )
