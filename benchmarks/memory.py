"""The section of memory: what the server's process holds while jobs and trials come and go."""

import re
from pathlib import Path
from typing import Any

import httpx
from msgspec import Struct, to_builtins

from benchmarks.effort import Effort
from benchmarks.load import job_body
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import chart, curves
from benchmarks.server import running_server
from benchmarks.spread import Spread, spread

BULK = 1_000
STEPS = 10
MEBIBYTE = 1024


class Memory(Struct, frozen=True):
    """What the process held after so many trials and jobs."""

    trials: int
    jobs: int
    mebibytes: float


def resident(pid: int) -> float:
    """Return what a process holds, in MiB; not a number where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return float("nan")
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) / MEBIBYTE if found else float("nan")


def register(http: httpx.Client, job_id: str) -> None:
    """Register a job."""
    body = job_body(job_id, batch_sizes=[8, 16, 32], default_batch_size=16, num_pruning_rounds=0)
    http.post("/jobs", json=body).raise_for_status()


def recur(http: httpx.Client, job_ids: list[str]) -> None:
    """Let jobs recur once, in bulk."""
    trials = http.post("/api/v1/suggestions", json={"job_ids": job_ids}).json()["suggestions"]
    said = {"time": 100.0, "energy": 20_000.0, "metric": 1.0, "current_epoch": 1}
    http.post("/api/v1/reports", json={"reports": [trial | said for trial in trials]}).raise_for_status()


def measure(effort: Effort) -> list[Memory]:
    """Grow the database step by step, each step new jobs and as many trials; the first is the warm-up."""
    jobs, trials = effort.memory
    found = []
    with running_server() as server, httpx.Client(base_url=server.url, trust_env=False, timeout=60) as http:
        registered: list[str] = []
        made = 0
        for step in range(STEPS + 1):
            names = [f"memory-{step}-{number}" for number in range(jobs // STEPS)]
            for name in names:
                register(http, name)
            registered += names
            while made < trials * (step + 1) // STEPS:
                recur(http, names[:BULK])
                made += len(names[:BULK])
            found.append(Memory(made, len(registered), round(resident(server.process.pid), 2)))
    return found


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    found = measure(effort)
    rows = [(f"{each.trials:,}", f"{each.jobs:,}", f"{each.mebibytes:.1f}") for each in found]
    figure, [axes] = chart("Memory of the server", "MiB")
    held: list[Spread] = [spread([each.mebibytes]) for each in found]
    curves(axes, [each.trials for each in found], {"resident": held})
    axes.set_ylim(bottom=0)
    axes.set_xlabel("finished trials")
    data: Any = to_builtins(found)
    growth = found[-1].mebibytes - found[0].mebibytes
    note = (
        "Resident size of a server on SQLite, whose jobs are registered one by one and recur in bulk. From "
        f"the first row to the last it grew by {growth:.1f} MiB."
    )
    return Page("Memory", note, [Table(("trials", "jobs", "MiB"), rows)], {"memory": figure}, data)
