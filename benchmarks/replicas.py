"""The section of replicas: several servers of one Postgres, and every acknowledgement counted against it."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from msgspec import Struct, to_builtins

from benchmarks.audit import Audit, audit
from benchmarks.effort import Effort
from benchmarks.load import run_load
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import running_server
from benchmarks.spread import Spread, ratios, spread

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


def measure(effort: Effort) -> list[Replicas]:
    """Measure every number of replicas under every workload, once a round."""
    rates: dict[tuple[int, str], list[float]] = {}
    audits: dict[tuple[int, str], list[Audit]] = {}
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
                        audits.setdefault((count, workload), []).append(audit(url, log))
    return [
        Replicas(
            count=count,
            workload=workload,
            per_second=spread(seen),
            over_one=ratios(seen, rates[effort.replicas[0], workload]),
            acknowledged=sum(each.acknowledged for each in audits[count, workload]),
            lost=sum(len(each.lost) for each in audits[count, workload]),
            doubled=sum(len(each.doubled) for each in audits[count, workload]),
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
