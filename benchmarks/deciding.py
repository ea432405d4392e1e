"""The section of policies: a suggestion under frugal beside one under zeus, on one server, alternately."""

import asyncio
import math
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from statistics import median
from typing import Any
from urllib.parse import SplitResult, urlsplit

import msgspec
import numpy as np
from msgspec import Struct, to_builtins

from benchmarks.bodies import Suggestion
from benchmarks.effort import Effort
from benchmarks.load import job_body
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import chart, curves
from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import running_server
from benchmarks.spread import Interval, paired_ratio
from benchmarks.wire import Connection, request

POLICIES = ("zeus", "frugal")
ARMS = (4, 8, 16)
RECURRENCES = 60
"""Of a job before it is measured: it has settled then."""
WARMUP = 20


class Deciding(Struct, frozen=True):
    """What calls take of a job with so many batch sizes, in milliseconds, and frugal's over zeus's."""

    store: str
    arms: int
    suggest: dict[str, float]
    suggest_ratio: Interval
    report: dict[str, float]
    report_ratio: Interval


async def train(
    connection: Connection, url: SplitResult, job_id: str, rng: np.random.Generator
) -> tuple[float, float]:
    """Let a job recur once, in one epoch; return the seconds of its suggestion and of its report."""
    began = time.perf_counter()
    suggested = await connection.exchange(request("GET", f"/jobs/batch_size?job_id={job_id}", url.netloc))
    asked = time.perf_counter() - began
    trial = msgspec.json.decode(suggested.body, type=Suggestion)
    seconds = (20 + (math.log2(trial.batch_size) - 6) ** 2) * float(rng.lognormal(0, 0.02))
    report = {"time": seconds, "energy": 200 * seconds, "metric": 1.0, "current_epoch": 1}
    body = msgspec.json.encode({**msgspec.to_builtins(trial), **report})
    call = request("POST", "/report", url.netloc, body)
    began = time.perf_counter()
    answer = await connection.exchange(call)
    if not answer.succeeded:
        raise RuntimeError(answer.body.decode())
    return asked, time.perf_counter() - began


async def register(connection: Connection, url: SplitResult, policy: str, arms: int) -> str:
    """Register a job with batch sizes that are powers of two, and let it settle."""
    sizes = [2**power for power in range(1, arms + 1)]
    job_id = f"deciding-{policy}-{arms}"
    body = job_body(job_id, batch_sizes=sizes, default_batch_size=sizes[arms // 2], policy=policy, mab_seed=1)
    answer = await connection.exchange(request("POST", "/jobs", url.netloc, msgspec.json.encode(body)))
    if not answer.succeeded:
        raise RuntimeError(answer.body.decode())
    rng = np.random.default_rng(arms)
    for _ in range(RECURRENCES):
        await train(connection, url, job_id, rng)
    return job_id


async def decide(store: str, server: str, arms: int, pairs: int) -> Deciding:
    """Ask and report for a job of each policy in turn, which of them is first changing from pair to pair."""
    url = urlsplit(server)
    seen: dict[str, list[tuple[float, float]]] = {policy: [] for policy in POLICIES}
    rng = np.random.default_rng(1)
    with closing(await Connection.open(url)) as connection:
        jobs = {policy: await register(connection, url, policy, arms) for policy in POLICIES}
        for number in range(pairs + WARMUP):
            for policy in POLICIES[:: 1 if number % 2 else -1]:
                seen[policy].append(await train(connection, url, jobs[policy], rng))
    suggest, report = (
        {policy: [times[call] for times in seen[policy][WARMUP:]] for policy in POLICIES} for call in (0, 1)
    )
    return Deciding(
        store,
        arms,
        _milliseconds(suggest),
        paired_ratio(suggest["frugal"], suggest["zeus"]),
        _milliseconds(report),
        paired_ratio(report["frugal"], report["zeus"]),
    )


def _milliseconds(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {policy: 1000 * median(values) for policy, values in seconds.items()}


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    pairs = max(effort.pairs // 20, WARMUP)
    with ExitStack() as running:
        servers = {"SQLite": running.enter_context(running_server()).url}
        database = create_database(running.enter_context(running_postgres()), "deciding")
        servers["Postgres"] = running.enter_context(running_server(database)).url
        decided = [
            asyncio.run(decide(store, url, arms, pairs)) for store, url in servers.items() for arms in ARMS
        ]
    return _shown(decided)


def _shown(decided: Sequence[Deciding]) -> Page:
    rows = [
        (
            one.store,
            str(one.arms),
            *(f"{one.suggest[policy]:.2f}" for policy in POLICIES),
            one.suggest_ratio.shown(),
            *(f"{one.report[policy]:.2f}" for policy in POLICIES),
            one.report_ratio.shown(),
        )
        for one in decided
    ]
    figure, [axes] = chart("A suggestion under frugal over one under zeus", "ratio")
    stores = dict.fromkeys(one.store for one in decided)
    curves(axes, ARMS, {s: [one.suggest_ratio for one in decided if one.store == s] for s in stores})
    axes.set_xlabel("batch sizes")
    data: Any = to_builtins(decided)
    headings = ("suggest, zeus, ms", "suggest, frugal, ms", "ratio", "report, zeus, ms", "report, frugal, ms")
    return Page(
        title="Policies",
        note=(
            "One server, a job of each policy with as many batch sizes, 60 recurrences old. Both ask in turn "
            "for a batch size and reports the end of its training. Medians, and the 95 % bootstrap interval "
            "of that of the pairs' ratios."
        ),
        tables=[Table(("store", "batch sizes", *headings, "ratio"), rows)],
        pictures={"policies": figure},
        data=data,
    )
