"""The section of the client: what a training pays for it, beside the least that it could pay."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct, to_builtins

import batchbandit
from batchbandit import JobSpec, Trial
from batchbandit.energy.meters import Device, Energy
from benchmarks.effort import Effort
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.server import running_server
from benchmarks.spread import Spread, ratios, spread

PAUSES = (0.0, 0.02)
"""Seconds between reports: none, and enough for caches and processors to cool down."""
EPOCHS_A_ROUND = 200
IMPORTS_A_ROUND = 5
MODULES = {"batchbandit": "import batchbandit", "httpx": "import httpx", "numpy": "import numpy"}
TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
MILLISECONDS = 1000


class Reporting(Struct, frozen=True):
    """Milliseconds of a report by the client, of the same request bare, and the ratio, by rounds."""

    pause_seconds: float
    client: Spread
    bare: Spread
    ratio: Spread


class Fixed:
    """A meter that costs nothing to read."""

    devices: Sequence[Device] = (Device("GPU-1", "V100", 300.0),)

    def start(self) -> None:
        """Do nothing."""

    def read(self) -> Energy:
        """Return some energy."""
        return Energy(1000.0, "declared")

    def close(self) -> None:
        """Do nothing."""


def milliseconds(call: Callable[[], object], calls: int, pause_seconds: float) -> float:
    """Return the median of some calls, with pauses between them."""
    seconds = []
    for _ in range(calls):
        time.sleep(pause_seconds)
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return MILLISECONDS * sorted(seconds)[len(seconds) // 2]


def bare_report(connection: HTTPConnection, trial: Trial) -> Callable[[], object]:
    """Return what sends a report on a connection and reads the answer, and does nothing else."""
    name = {"job_id": trial.job_id, "batch_size": trial.batch_size, "trial_number": trial.trial_number}
    report = {"time": 1.0, "energy": 1000.0, "metric": 0.1, "current_epoch": 1, "energy_source": "declared"}
    body = json.dumps(name | report)

    def send() -> object:
        connection.request("POST", "/report", body, {"Content-Type": "application/json"})
        return connection.getresponse().read()

    return send


def reporting(effort: Effort) -> list[Reporting]:
    """Report epochs by the client and bare, in turn, for each pause."""
    epochs = min(EPOCHS_A_ROUND, effort.pairs)
    job = JobSpec([8, 16], 16, job_id="client", target_metric=1.0, max_epochs=10**6, beta_knob=None)
    seconds = iter(range(1, 10**9))
    with (
        running_server() as server,
        closing(HTTPConnection(urlsplit(server.url).netloc)) as connection,
        batchbandit.trial(server.url, job, meter=Fixed(), clock=lambda: float(next(seconds))) as trial,
    ):
        bare = bare_report(connection, trial)
        found = []
        for pause in PAUSES:
            pairs = [
                (milliseconds(lambda: trial.report(0.1), epochs, pause), milliseconds(bare, epochs, pause))
                for _ in range(effort.rounds)
            ]
            client, least = zip(*pairs, strict=True)
            found.append(Reporting(pause, spread(client), spread(least), ratios(client, least)))
    return found


def importing(effort: Effort) -> dict[str, Spread]:
    """Import modules in fresh processes, in turn; return the milliseconds of each, by rounds."""
    found: dict[str, list[float]] = {name: [] for name in MODULES}
    for _ in range(effort.rounds):
        seen: dict[str, list[float]] = {name: [] for name in MODULES}
        for _ in range(IMPORTS_A_ROUND):
            for name, statement in MODULES.items():
                seen[name].append(import_seconds(statement))
        for name, times in seen.items():
            found[name].append(MILLISECONDS * sorted(times)[len(times) // 2])
    return {name: spread(rounds) for name, rounds in found.items()}


def import_seconds(statement: str) -> float:
    """Return how long an import takes in a process of its own."""
    command = [sys.executable, "-c", TIMED.format(statement)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  (ours)
    return float(done.stdout)


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    reports, imports = reporting(effort), importing(effort)
    names = [f"every {MILLISECONDS * each.pause_seconds:.0f} ms" for each in reports]
    told = Table(
        ("report of an epoch", "by the client, ms", "bare, ms", "ratio"),
        [
            (name, each.client.shown(), each.bare.shown(), each.ratio.shown())
            for name, each in zip(names, reports, strict=True)
        ],
    )
    loaded = Table(("import of", "ms"), [(name, found.shown(1)) for name, found in imports.items()])
    figure, [axes] = chart("A report of an epoch", "ms")
    series = {"client": [each.client for each in reports], "bare": [each.bare for each in reports]}
    bars(axes, names, series)
    data: Any = {"reporting": to_builtins(reports), "importing": to_builtins(imports)}
    note = (
        "One training reports to a server on SQLite beside it, by the client and, in turn, as a bare request "
        "on an open connection; what passes between reports lets processors and caches cool down or does "
        "not. Medians of a round. Modules are imported in processes of their own."
    )
    return Page("What a training pays for the client", note, [told, loaded], {"client": figure}, data)
