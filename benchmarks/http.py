"""The section of HTTP loads: connections on each store, beside the bare ceiling, in the same rounds."""

import asyncio
from contextlib import ExitStack
from typing import Any

from msgspec import Struct, to_builtins

from benchmarks.ceiling import running_ceiling
from benchmarks.effort import Effort
from benchmarks.load import run_load
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import running_server
from benchmarks.spread import Spread, ratios, spread
from benchmarks.worker import REPORT, SUGGEST

JOBS = 64
CEILING = "ceiling"
SERVED = ("SQLite", "Postgres", CEILING)
NOTE = (
    f"Trainings on {JOBS} jobs: ask, report an epoch that ends the training, end the trial. The ceiling is "
    "Starlette served and observed alike, whose calls read no body and answer a constant. Generator, server "
    "and Postgres share the cores."
)
HEADINGS = ("served", "connections", "requests/s", "suggest p50 ms", "report p50 ms", "of the ceiling")


class Load(Struct, frozen=True):
    """What a server did under so many connections; ``share`` is that of the ceiling, latencies are ms."""

    served: str
    connections: int
    per_second: Spread
    suggest_p50: Spread
    report_p50: Spread
    share: Spread


def measure(effort: Effort) -> list[Load]:
    """Measure every server under every number of connections, once a round."""
    seen: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
    with ExitStack() as running:
        postgres = running.enter_context(running_postgres())
        urls = {
            "SQLite": running.enter_context(running_server()).url,
            "Postgres": running.enter_context(running_server(create_database(postgres, "load"))).url,
            CEILING: running.enter_context(running_ceiling()).url,
        }
        for _ in range(effort.rounds):
            for connections in effort.connections:
                for name in SERVED:
                    seen.setdefault((name, connections), []).append(_load(urls[name], connections, effort))
    return [
        Load(
            name,
            connections,
            spread(each[0] for each in rounds),
            spread(each[1] for each in rounds),
            spread(each[2] for each in rounds),
            ratios([each[0] for each in rounds], [each[0] for each in seen[CEILING, connections]]),
        )
        for (name, connections), rounds in sorted(seen.items(), key=lambda item: SERVED.index(item[0][0]))
    ]


def _load(url: str, connections: int, effort: Effort) -> tuple[float, float, float]:
    result = asyncio.run(
        run_load(url, connections=connections, jobs=JOBS, seconds=effort.seconds, warmup=effort.warmup)
    )
    suggest, report = (result.endpoints[endpoint].p50 or float("nan") for endpoint in (SUGGEST, REPORT))
    return result.total.per_second, suggest, report


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    loads = measure(effort)
    rows = [
        (
            load.served,
            str(load.connections),
            load.per_second.shown(0),
            load.suggest_p50.shown(),
            load.report_p50.shown(),
            f"{load.share.median:.0%}",
        )
        for load in loads
    ]
    figure, [axes] = chart("Requests a second", "requests/s")
    groups = [str(connections) for connections in effort.connections]
    bars(axes, groups, {name: [load.per_second for load in loads if load.served == name] for name in SERVED})
    axes.set_xlabel("connections")
    data: Any = to_builtins(loads)
    return Page(
        title="HTTP load",
        note=NOTE,
        tables=[Table(HEADINGS, rows)],
        pictures={"http": figure},
        data=data,
    )
