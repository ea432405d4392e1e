"""Time and energy of a training, less what passes while it waits for the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchbandit.energy.meters import NO_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from batchbandit.energy.meters import EnergyMeter
    from batchbandit.ranks import Ranks


class Measurement(NamedTuple):
    """Seconds and joules since a training began, where the joules come from, and what is missing in them."""

    seconds: float
    joules: float
    source: str
    flaw: str | None


class Stopwatch:
    """Measures a training on all its ranks; every rank calls each method."""

    def __init__(self, clock: Callable[[], float], meter: EnergyMeter, ranks: Ranks) -> None:
        self.clock = clock
        self.meter = meter
        self._ranks = ranks
        self.start()

    def start(self) -> None:
        """Begin anew."""
        self.meter.start()
        self._paused = (0.0, 0.0)
        self._stopped_at: tuple[float, float] | None = None
        self._began = self.clock()

    def stop(self) -> Measurement:
        """Stop until ``resume``, and return what was measured so far."""
        seconds, energy = self.clock() - self._began, self.meter.read()
        self._stopped_at = (seconds, energy.joules)
        lost_seconds, lost_joules = self._paused
        here = (energy.joules - lost_joules, energy.source, energy.flaw)
        return Measurement(seconds - lost_seconds, *_together(self._ranks.gather(here)))

    def resume(self) -> None:
        """Go on after a stop; what has passed since counts for nothing."""
        if self._stopped_at is None:
            return
        seconds, joules = self.clock() - self._began, self.meter.read().joules
        lost_seconds, lost_joules = self._paused
        at_seconds, at_joules = self._stopped_at
        self._paused = (lost_seconds + seconds - at_seconds, lost_joules + joules - at_joules)
        self._stopped_at = None


def _together(readings: list[tuple[float, str, str | None] | None]) -> tuple[float, str, str | None]:
    """Sum up the ranks; one that measures nothing itself adds nothing to the sources of the others."""
    told = [reading for reading in readings if reading is not None]
    sources = sorted({part for _, source, _ in told for part in source.split("+")} - {NO_SOURCE})
    flaws = [flaw for _, _, flaw in told if flaw is not None]
    if sources and len(told) < len(readings):
        flaws.append("A rank did not tell what it has measured.")
    joules = sum(joules for joules, _, _ in told)
    return joules, "+".join(sources) or NO_SOURCE, flaws[0] if flaws else None
