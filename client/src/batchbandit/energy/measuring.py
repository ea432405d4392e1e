"""Measuring any block of code."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Callable

from batchbandit.energy.finding import find_meter
from batchbandit.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from batchbandit.energy.meters import Energy, EnergyMeter


class Measurement:
    """The time and energy of a block: until now while it runs, the whole block's when it has ended."""

    def __init__(self, meter: EnergyMeter, clock: Callable[[], float]) -> None:
        self._meter = meter
        self._clock = clock
        self._ended: tuple[float, Energy] | None = None
        meter.start()
        self._begun = clock()

    @property
    def seconds(self) -> float:
        """The time."""
        return self._now()[0]

    @property
    def energy(self) -> Energy:
        """The energy, with all that is known of it."""
        return self._now()[1]

    @property
    def joules(self) -> float:
        """The energy, in joules."""
        return self.energy.joules

    @property
    def source(self) -> str:
        """Where the figure comes from."""
        return self.energy.source

    @property
    def flaw(self) -> str | None:
        """What is missing from it, None where nothing is."""
        return self.energy.flaw

    @property
    def by_device(self) -> Mapping[str, float]:
        """The joules by the device's identity."""
        return self.energy.by_device

    def __repr__(self) -> str:
        seconds, energy = self._now()
        flaw = "" if energy.flaw is None else f", {energy.flaw}"
        return f"{seconds:.3f} s, {energy.joules:.3f} J ({energy.source}{flaw})"

    def end(self) -> None:
        """Let the figures be those of now for good."""
        self._ended = self._now()

    def _now(self) -> tuple[float, Energy]:
        return self._ended or (self._clock() - self._begun, self._meter.read())


@contextlib.contextmanager
def measure(
    gpus: Sequence[int | str] | None = None,
    *,
    cpu: bool = False,
    meter: EnergyMeter | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Measurement]:
    """Measure the time and energy of a block, or of a function that this decorates.

    Work that PyTorch has queued on a GPU is waited for at both ends. The figures are logged too.

    Args:
        gpus: As of ``find_meter``.
        cpu: As of ``find_meter``.
        meter: What to measure with in place of what is found; it is not closed.
        clock: Monotonic, in seconds.

    Raises:
        ValueError: ``gpus`` names a GPU that is not there.
    """
    used = find_meter(gpus, cpu=cpu) if meter is None else meter
    try:
        _finish_queued_work()
        measurement = Measurement(used, clock)
        try:
            yield measurement
        finally:
            _finish_queued_work()
            measurement.end()
            log.info("Measured %s.", measurement)
    finally:
        if meter is None:
            used.close()


def _finish_queued_work() -> None:
    torch = sys.modules.get("torch")
    if torch is None:
        return
    with contextlib.suppress(Exception):  # a device in error must not hide the block's own exception
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
