"""A service with what people look at: jobs that have learned, that walk, are stuck, failing, paused, new."""

import asyncio
from typing import Any

import httpx
import numpy as np
from msgspec import Struct

from benchmarks.demo import made_up
from benchmarks.recurring import Pipeline

RECURRENCES = 30
"""Of each workload of the demonstration."""
WORKLOADS = 3
ODD = "odd-<b>name</b>&\"'/é?#%"
"""A name that is a name, and nothing else."""


class Filled(Struct, frozen=True):
    """The jobs that there are, by what they are good for."""

    learned: str
    walking: str
    stuck: str
    failing: str
    paused: str
    fresh: str
    odd: str
    names: list[str]


def fill(url: str) -> Filled:
    """Train against a service as ``make demo`` does, and bring other jobs into every other state."""
    learned = asyncio.run(_train(url))
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        for name in ("walking", "stuck", "failing", "paused", "fresh", ODD):
            _register(http, name)
        _run(http, "walking", [8_000.0, 9_000.0])
        _suggest(http, "walking")
        _fail(http, "stuck", 9)
        _run(http, "failing", [8_000.0])
        _fail(http, "failing", 2)
        _run(http, "paused", [8_000.0])
        http.post("/api/v1/jobs/paused/pause").raise_for_status()
        _run(http, ODD, [8_000.0])
    names = [*learned, "walking", "stuck", "failing", "paused", "fresh", ODD]
    return Filled(learned[0], "walking", "stuck", "failing", "paused", "fresh", ODD, sorted(names))


async def _train(url: str) -> list[str]:
    workloads = made_up(0, WORKLOADS)
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as http:

        async def train(number: int) -> str:
            pipeline = Pipeline(http, workloads[number], np.random.default_rng([0, number]))
            await pipeline.register(eta=0.5, seed=0)
            for _ in range(RECURRENCES):
                await pipeline.recur()
            return pipeline.story.job_id

        return await asyncio.gather(*map(train, range(WORKLOADS)))


def _register(http: httpx.Client, name: str) -> None:
    body = {
        "job_id": name,
        "job_id_prefix": name[:3],
        "batch_sizes": [16, 32, 64],
        "default_batch_size": 32,
        "target_metric": 0.5,
        "max_epochs": 5,
        "mab_seed": 1,
        "max_power": 300,
        "number_of_gpus": 1,
        "gpu_model": "V100",
    }
    http.post("/jobs", json=body).raise_for_status()


def _suggest(http: httpx.Client, name: str) -> dict[str, Any] | None:
    """Return a new trial, None where the job has no batch size left."""
    answer = http.get("/jobs/batch_size", params={"job_id": name})
    if answer.status_code == httpx.codes.CONFLICT:
        return None
    return dict(answer.raise_for_status().json())


def _run(http: httpx.Client, name: str, energies: list[float]) -> None:
    for energy in energies:
        trial = _suggest(http, name)
        assert trial is not None
        report = {**trial, "time": energy / 200, "energy": energy, "metric": 0.9, "current_epoch": 1}
        http.post("/report", json=report).raise_for_status()
        http.request("PATCH", "/trials", json=trial).raise_for_status()


def _fail(http: httpx.Client, name: str, times: int) -> None:
    for _ in range(times):
        trial = _suggest(http, name)
        if trial is None:
            return
        body = {**trial, "reason": "OutOfMemoryError"}
        http.request("PATCH", "/trials", json=body).raise_for_status()
