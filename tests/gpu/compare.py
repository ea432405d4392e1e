"""Compares the energy reader with integrated power samples, on a machine with an NVIDIA GPU.

    python tests/gpu/compare.py --seconds 30

A load of known length runs on one GPU: matrix products by PyTorch, else by CuPy, else nothing, which is said.
Meanwhile the reader of this package measures, and a thread of this script's own asks NVML for the power
twenty times a second, which the trapezoid rule integrates. Half of the time is left idle, so that it changes.

The two agree when their mean powers differ by at most the tolerance, 10 % unless told otherwise: NVIDIA
states 5 % for its power sensors, on some GPUs the power is the mean of the last second, and on some it is
sampled for a part of the time only. The exit status is 0 when they agree, 1 when not, and 2 where there is no
GPU to compare on.
"""

# ruff: noqa: T201 - what it prints is its product

from __future__ import annotations

import argparse
import importlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from batchbandit.energy.nvidia import find_nvidia
from batchbandit.energy.probes import Unavailable
from batchbandit.energy.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from batchbandit.energy.probes import Probe

TOLERANCE = 0.10
PERIOD_SECONDS = 0.05
SETTLING_SECONDS = 2.0
AGREE, DIFFER, NO_GPU = 0, 1, 2
SIZE = 4096


class PowerSamples:
    """Power samples of a GPU, integrated by the trapezoid rule, in a thread from enter to exit."""

    def __init__(self, watts: Callable[[], float]) -> None:
        self._watts = watts
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._samples: list[tuple[float, float]] = []

    def __enter__(self) -> None:
        self._take()
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def _sample(self) -> None:
        while not self._stop.wait(PERIOD_SECONDS):
            self._take()

    def _take(self) -> None:
        self._samples.append((time.monotonic(), self._watts()))

    @property
    def joules(self) -> float:
        """The energy of the samples."""
        pairs = zip(self._samples[:-1], self._samples[1:])  # noqa: B905 - Python 3.9 has neither
        return sum((at - before) * (low + high) / 2 for (before, low), (at, high) in pairs)

    @property
    def mean_watts(self) -> float:
        """The mean power over the time of the samples."""
        return self.joules / (self._samples[-1][0] - self._samples[0][0])

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self._samples)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, print a table, and return the exit status."""
    options = _options().parse_args(arguments)
    try:
        found = find_nvidia([options.gpu] if options.gpu is not None else None)
    except (Unavailable, ValueError) as reason:
        print(f"There is no GPU to compare on: {reason}")
        return NO_GPU
    if not found.probes:
        print("There is no GPU to compare on: NVML shows none, or CUDA_VISIBLE_DEVICES hides all.")
        return NO_GPU
    probe = found.probes[0]
    if probe.power_source is None:
        print(f"There is no GPU to compare on: {probe.device.model} does not tell its power.")
        found.close()
        return NO_GPU
    meter = Sampler([probe], on_close=[found.close])
    try:
        return _compare(meter, probe, options)
    finally:
        meter.close()


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gpu", help="index or UUID; by default the first that is visible")
    parser.add_argument(
        "--seconds", type=float, default=30.0, help="length of the load (default: %(default)s)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help="share that they may differ by (default: %(default)s)",
    )
    parser.add_argument("--load", choices=("auto", "idle"), default="auto", help="idle leaves the GPU alone")
    return parser


def _compare(meter: Sampler, probe: Probe, options: argparse.Namespace) -> int:
    name, work = _load(probe) if options.load == "auto" else ("idle", _nothing)
    _run(work, min(SETTLING_SECONDS, options.seconds / 4))
    meter.start()
    samples = PowerSamples(probe.watts)
    with samples:
        begun = time.monotonic()
        _run(work, options.seconds / 2)
        _run(_nothing, options.seconds / 2)
        energy = meter.read()
        seconds = time.monotonic() - begun
    if samples.joules <= 0:
        print(f"There is no GPU to compare on: {probe.device.model} says that it draws nothing.")
        return NO_GPU
    watts = energy.joules / seconds
    difference = watts / samples.mean_watts - 1
    agree = abs(difference) <= options.tolerance and energy.flaw is None
    rows = (
        ("GPU", f"{probe.device.model} ({probe.device.identity})"),
        ("load", f"{name}, half of {seconds:.2f} s; the other half idle"),
        ("reader", f"{energy.joules:.2f} J, {watts:.1f} W ({energy.source})"),
        (
            "power samples",
            f"{samples.joules:.2f} J, {samples.mean_watts:.1f} W ({samples.count} samples)",
        ),
        ("difference", f"{difference:+.2%} (tolerance {options.tolerance:.0%})"),
        ("flaw", energy.flaw or "none"),
        ("verdict", "they agree" if agree else "THEY DIFFER"),
    )
    for label, value in rows:
        print(f"{label:<14}{value}")
    if name == "idle":
        print("The GPU was idle: install torch or cupy for a load.")
    if probe.counter_source is None:
        print("The GPU has no energy counter: the reader integrated power itself.")
    return AGREE if agree else DIFFER


def _run(work: Callable[[], None], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        work()


def _nothing() -> None:
    time.sleep(0.01)


def _load(probe: Probe) -> tuple[str, Callable[[], None]]:
    """Return what keeps the GPU busy, and its name."""
    for name, prepare in (("torch", _torch_load), ("cupy", _cupy_load)):
        try:
            return name, prepare(probe.device.identity)
        except Exception as reason:  # noqa: BLE001 - whatever keeps it from working, the next is tried
            print(f"No load by {name}: {type(reason).__name__}: {reason}")
    return "idle", _nothing


def _torch_load(identity: str) -> Callable[[], None]:
    torch = importlib.import_module("torch")
    uuids = [
        f"GPU-{getattr(torch.cuda.get_device_properties(index), 'uuid', '')}"
        for index in range(torch.cuda.device_count())
    ]
    device = f"cuda:{uuids.index(identity) if identity in uuids else 0}"
    left: Any = torch.randn(SIZE, SIZE, device=device)

    def work() -> None:
        for _ in range(10):
            torch.mm(left, left)
        torch.cuda.synchronize(device)

    work()
    return work


def _cupy_load(_: str) -> Callable[[], None]:
    cupy = importlib.import_module("cupy")
    left = cupy.random.standard_normal((SIZE, SIZE), dtype=cupy.float32)

    def work() -> None:
        for _ in range(10):
            left @ left
        cupy.cuda.Device().synchronize()

    work()
    return work


if __name__ == "__main__":
    sys.exit(main())
