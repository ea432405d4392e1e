"""The section of access: a server that asks for a token beside one that does not, alternately."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct, to_builtins

from benchmarks.effort import Effort
from benchmarks.history import train
from benchmarks.load import register
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import chart, curves
from benchmarks.server import start, stop
from benchmarks.spread import Interval, paired_ratio
from benchmarks.wire import Connection
from service.clock import utc_now
from service.credentials import Role, Token
from service.store import tokens
from service.store.databases import run_beside

OPEN, GUARDED = "open", "with tokens"
FEWEST_PAIRS = 20
WARMUP = 10


class Throughput(Struct, frozen=True):
    """Requests a second of both servers under so many connections; ``ratio`` is with tokens over open."""

    connections: int
    open: float
    guarded: float
    ratio: Interval


@contextmanager
def served() -> Iterator[dict[str, str]]:
    """Serve two SQLite files, one of which has a token; give the addresses, the token in its own."""
    with ExitStack() as running:
        urls = {}
        for name in (OPEN, GUARDED):
            folder = Path(running.enter_context(TemporaryDirectory(prefix="batchbandit-")))
            userinfo = f"job:{token_for(folder)}@" if name == GUARDED else ""
            server = start(folder)
            running.callback(stop, server)
            urls[name] = server.url.replace("://", f"://{userinfo}")
        yield urls


def token_for(folder: Path) -> str:
    """Make a token in the database that will be served from a folder."""
    token, text = Token.make(Role.TRAINER, "", utc_now())
    url = f"sqlite+aiosqlite:///{folder / 'batchbandit.db'}"
    run_beside(url, lambda connection: tokens.insert(connection, token))
    return text


async def burst(connections: Sequence[Connection], url: SplitResult, jobs: Sequence[str]) -> float:
    """Let a job on each connection recur once, all at a time; return the requests a second."""
    began = time.perf_counter()
    trained = await asyncio.gather(
        *(train(connection, url, job) for connection, job in zip(connections, jobs, strict=True))
    )
    return sum(map(len, trained)) / (time.perf_counter() - began)


async def throughput(urls: dict[str, str], connections: int, pairs: int) -> Throughput:
    """Send both servers bursts in turn, which of them is first changing from pair to pair."""
    targets = {name: urlsplit(url) for name, url in urls.items()}
    jobs = {name: await register(url, connections) for name, url in urls.items()}
    seen: dict[str, list[float]] = {OPEN: [], GUARDED: []}
    with ExitStack() as opened:
        lines = {
            name: [opened.enter_context(closing(await Connection.open(target))) for _ in range(connections)]
            for name, target in targets.items()
        }
        for number in range(pairs + WARMUP):
            for name in (OPEN, GUARDED) if number % 2 else (GUARDED, OPEN):
                seen[name].append(await burst(lines[name], targets[name], jobs[name]))
    both = {name: rates[WARMUP:] for name, rates in seen.items()}
    return Throughput(
        connections,
        median(both[OPEN]),
        median(both[GUARDED]),
        paired_ratio(both[GUARDED], both[OPEN]),
    )


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    with served() as urls:
        loads = [
            asyncio.run(throughput(urls, connections, max(effort.pairs // connections, FEWEST_PAIRS)))
            for connections in effort.connections
        ]
    rows = [
        (
            str(load.connections),
            f"{load.open:,.0f}",
            f"{load.guarded:,.0f}",
            load.ratio.shown(),
            f"{load.ratio.pairs:,}",
        )
        for load in loads
    ]
    figure, [axes] = chart("Requests a second with tokens over open", "ratio")
    curves(axes, effort.connections, {"SQLite": [load.ratio for load in loads]})
    axes.set_xlabel("connections")
    data: Any = to_builtins(loads)
    return Page(
        title="Tokens",
        note=(
            "A server on SQLite that asks every request for a token, the password of HTTP Basic, beside one "
            "that runs open. Bursts go to both in turn: on each connection a job asks for a batch size and "
            "reports, all at a time. Medians, and the 95 % bootstrap interval of that of the pairs' ratios."
        ),
        tables=[
            Table(("connections", "open, requests/s", "with tokens, requests/s", "ratio", "pairs"), rows)
        ],
        pictures={"access": figure},
        data=data,
    )
