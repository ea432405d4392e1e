"""The section of replicas: several servers of one Postgres, and every acknowledgement counted against it."""

import asyncio
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct, to_builtins

from benchmarks.effort import Effort
from benchmarks.load import run_load
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import running_server
from benchmarks.spread import Spread, ratios, spread
from benchmarks.worker import Ack

CONNECTIONS = 64
WORKLOADS = {"64 jobs": 64, "2 hot jobs": 2}
HEADINGS = ("replicas", "on", "requests/s", "over one", "acknowledged", "lost", "doubled")
NOTE = (
    f"{CONNECTIONS} connections in turn at servers of one Postgres. Every trial that was given and every "
    "result that was taken is looked for in the tables: lost is what is not there, doubled a trial number "
    "that was given twice. Generator, servers and Postgres share the cores, so that more replicas need not "
    "be faster here."
)


class Replicas(Struct, frozen=True):
    """What so many replicas did."""

    count: int
    workload: str
    per_second: Spread
    over_one: Spread
    acknowledged: int
    lost: int
    doubled: int


class Count(Struct, frozen=True):
    """Acknowledgements held against the tables."""

    acknowledged: int
    lost: int
    doubled: int


async def trials(database_url: str) -> dict[tuple[str, int], tuple[int, str]]:
    """Return the batch size and the status of every trial by its job and number."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch('SELECT job_id, trial_number, batch_size, status FROM "Trial"')
    finally:
        await connection.close()
    return {(row[0], row[1]): (row[2], row[3]) for row in rows}


def counted(database_url: str, log: Path) -> Count:
    """Hold a log of acknowledgements against the tables."""
    acks = [msgspec.json.decode(line, type=Ack) for line in log.read_bytes().splitlines()]
    stored = asyncio.run(trials(database_url))
    given = Counter((ack.job_id, ack.trial_number) for ack in acks if ack.ack == "suggested")
    return Count(
        acknowledged=len(acks),
        lost=sum(not _is_stored(ack, stored.get((ack.job_id, ack.trial_number))) for ack in acks),
        doubled=sum(count - 1 for count in given.values()),
    )


def _is_stored(ack: Ack, row: tuple[int, str] | None) -> bool:
    return row is not None and row[0] == ack.batch_size and (ack.ack == "suggested" or row[1] == "Succeeded")


def measure(effort: Effort) -> list[Replicas]:
    """Measure every number of replicas under every workload, once a round."""
    rates: dict[tuple[int, str], list[float]] = {}
    counts: dict[tuple[int, str], list[Count]] = {}
    with running_postgres() as postgres, TemporaryDirectory(prefix="batchbandit-") as folder:
        for round_ in range(effort.rounds):
            for count in effort.replicas:
                url = create_database(postgres, f"replicas_{count}_{round_}")
                with ExitStack() as running:
                    servers = [running.enter_context(running_server(url)).url for _ in range(count)]
                    for workload, jobs in WORKLOADS.items():
                        log = Path(folder) / f"{count}-{round_}-{jobs}"
                        load = run_load(
                            *servers,
                            connections=CONNECTIONS,
                            jobs=jobs,
                            seconds=effort.seconds,
                            warmup=effort.warmup,
                            ack_log=log,
                        )
                        rates.setdefault((count, workload), []).append(asyncio.run(load).total.per_second)
                        counts.setdefault((count, workload), []).append(counted(url, log))
    return [
        Replicas(
            count=count,
            workload=workload,
            per_second=spread(seen),
            over_one=ratios(seen, rates[effort.replicas[0], workload]),
            acknowledged=sum(each.acknowledged for each in counts[count, workload]),
            lost=sum(each.lost for each in counts[count, workload]),
            doubled=sum(each.doubled for each in counts[count, workload]),
        )
        for (count, workload), seen in rates.items()
    ]


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    found = measure(effort)
    rows = [
        (
            str(each.count),
            each.workload,
            each.per_second.shown(0),
            each.over_one.shown(),
            f"{each.acknowledged:,}",
            str(each.lost),
            str(each.doubled),
        )
        for each in found
    ]
    figure, [axes] = chart("Replicas on one Postgres", "requests/s")
    series = {name: [each.per_second for each in found if each.workload == name] for name in WORKLOADS}
    bars(axes, [str(count) for count in effort.replicas], series)
    axes.set_xlabel("replicas")
    data: Any = to_builtins(found)
    return Page("Replicas", NOTE, [Table(HEADINGS, rows)], {"replicas": figure}, data)
