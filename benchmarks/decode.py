"""The section of JSON: the bodies of the hot path decoded and checked, beside the standard library alone."""

import json
import time
from collections.abc import Callable
from typing import Any

from msgspec import Struct, to_builtins

from benchmarks.effort import Effort
from benchmarks.markdown import Table
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.spread import Spread, ratios, spread
from service.web.decoding import Decoder
from service.web.wire import JobBody, ReportBody

CALLS = 20_000
HEADINGS = ("body", "bytes", "decoded and checked, us", "json.loads, us", "ratio")
NOTE = (
    "What a request's body costs: the service's decoder gives a checked struct, json.loads a dict that "
    "nobody has looked at. Both in the same rounds."
)
REPORT = json.dumps(
    {
        "job_id": "resnet-nightly",
        "batch_size": 128,
        "trial_number": 17,
        "time": 612.5,
        "energy": 151_200.25,
        "metric": 0.3125,
        "current_epoch": 4,
    }
).encode()
JOB = json.dumps(
    {
        "job_id": "resnet-nightly",
        "job_id_prefix": "resnet",
        "batch_sizes": [32, 64, 128, 256, 512],
        "default_batch_size": 128,
        "target_metric": 0.75,
        "max_epochs": 90,
        "max_power": 300,
        "number_of_gpus": 1,
        "gpu_model": "V100",
        "seed": None,
    }
).encode()


class Decoding(Struct, frozen=True):
    """What a body costs, in microseconds; ``ratio`` is how many times faster the service's decoder was."""

    body: str
    size: int
    ours: Spread
    beside: Spread
    ratio: Spread


def microseconds(call: Callable[[bytes], object], body: bytes) -> float:
    """Time a call."""
    began = time.perf_counter()
    for _ in range(CALLS):
        call(body)
    return (time.perf_counter() - began) / CALLS * 1e6


def measure(effort: Effort) -> list[Decoding]:
    """Measure both bodies."""
    found = []
    for name, body, decode in (
        ("report", REPORT, Decoder(ReportBody).decode),
        ("job", JOB, Decoder(JobBody).decode),
    ):
        rounds = [(microseconds(decode, body), microseconds(json.loads, body)) for _ in range(effort.rounds)]
        ours, beside = zip(*rounds, strict=True)
        found.append(Decoding(name, len(body), spread(ours), spread(beside), ratios(beside, ours)))
    return found


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    found = measure(effort)
    rows = [
        (each.body, str(each.size), each.ours.shown(), each.beside.shown(), each.ratio.shown())
        for each in found
    ]
    figure, [axes] = chart("Decoding a body", "microseconds")
    series = {"service": [each.ours for each in found], "json.loads": [each.beside for each in found]}
    bars(axes, [each.body for each in found], series)
    data: Any = to_builtins(found)
    return Page("JSON", NOTE, [Table(HEADINGS, rows)], {"json": figure}, data)
