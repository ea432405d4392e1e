"""The meter of devices that are read by probes: it samples them, tallies what they say, and tells faults."""

from __future__ import annotations

import atexit
import contextlib
import functools
import math
import os
import threading
import time
import weakref
from typing import TYPE_CHECKING, Callable, TypeVar

from batchbandit.apart import apart
from batchbandit.energy.counters import Reading, Tally
from batchbandit.energy.meters import NO_SOURCE, Energy
from batchbandit.energy.probes import Lost
from batchbandit.log import log

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from batchbandit.energy.meters import Device
    from batchbandit.energy.probes import Probe

WATCH_SECONDS = 1.0
"""Between the looks of the thread at counters that are well."""
SAMPLE_SECONDS = 0.1
"""Between its samples while power stands in for a counter."""
PATIENCE_SECONDS = 5.0
"""How long a read waits for a library that hangs in the thread."""
JOIN_SECONDS = 1.0
ATTEMPTS = 2

_HANGS = f"The energy reader did not answer for {PATIENCE_SECONDS:g} s."

_Value = TypeVar("_Value")


class Sampler:
    """Measures the energy of the devices of some probes; an ``EnergyMeter``.

    A daemon thread watches from start to close: a wrap, a freeze or a lost device between two reads is seen,
    and power is sampled where there is no counter. All calls of a vendor's library are made under one lock.
    In a process forked meanwhile the meter measures nothing and says so: libraries do not survive a fork.

    Args:
        probes: What reads the devices, one each.
        on_close: What lets go of the libraries.
        clock: Monotonic, in seconds.
        threaded: False where the caller calls ``sample`` itself, often enough.
    """

    def __init__(
        self,
        probes: Iterable[Probe],
        *,
        on_close: Iterable[Callable[[], None]] = (),
        clock: Callable[[], float] = time.monotonic,
        threaded: bool = True,
    ) -> None:
        self._probes = tuple(probes)
        self._on_close = tuple(on_close)
        self._clock = clock
        self._threaded = threaded
        self._tallies: list[Tally] = []
        self._told: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._pid = os.getpid()
        self._last = Energy(0.0, self._sources())

    @property
    def devices(self) -> Sequence[Device]:
        """What is measured."""
        return tuple(probe.device for probe in self._probes)

    def start(self) -> None:
        """Begin to measure; what was measured before is forgotten."""
        if self._is_elsewhere():
            return
        if self._is_closed:
            self._last = Energy(0.0, self._sources(), "The meter was closed before it was started.")
            return
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            self._tallies = []
            self._last = Energy(0.0, self._sources(), _HANGS)
            return
        try:
            self._tallies = [
                Tally(
                    probe.limit_watts,
                    range_joules=probe.range_joules,
                    has_counter=probe.counter_source is not None,
                )
                for probe in self._probes
            ]
            self._look(with_power=True)
            self._last = self._energy()
        finally:
            self._lock.release()
        if self._threaded and self._thread is None:
            _close_at_exit()
            _running.add(self)
            thread = threading.Thread(
                target=_watch, args=(weakref.ref(self), self._stop), name="batchbandit-energy", daemon=True
            )
            with contextlib.suppress(RuntimeError):  # no more threads may be; what is missed then is a flaw
                apart(thread.start)
                self._thread = thread

    def read(self) -> Energy:
        """Return the energy since the start."""
        if self._is_elsewhere():
            return self._flawed("The process was forked, and its energy is measured where it came from.")
        if self._is_closed or not self._tallies:
            return self._last
        if not self._lock.acquire(timeout=PATIENCE_SECONDS):
            return self._flawed(_HANGS)
        try:
            self._look(with_power=False)
            self._last = self._energy()
            return self._last
        finally:
            self._lock.release()

    def sample(self) -> float:
        """Look at every device, and return the seconds until the next look is due."""
        if self._is_elsewhere():
            return WATCH_SECONDS
        with self._lock:
            if not self._is_closed:
                self._look(with_power=True)
        return SAMPLE_SECONDS if any(tally.is_bridged for tally in self._tallies) else WATCH_SECONDS

    def close(self) -> None:
        """Let go of the thread and the libraries."""
        if self._is_closed:
            return
        self._is_closed = True
        _running.discard(self)
        if self._is_elsewhere():  # where the event's lock may be held by the thread, which is not there
            return
        self._stop.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(JOIN_SECONDS)
            if self._thread.is_alive():  # it hangs in a library, which must not be closed under it
                return
        for let_go in self._on_close:
            _attempt(let_go)

    def _is_elsewhere(self) -> bool:
        return os.getpid() != self._pid

    def _flawed(self, sentence: str) -> Energy:
        before = self._last
        flaw = f"{before.flaw} {sentence}" if before.flaw else sentence
        return Energy(before.joules, before.source, flaw, before.by_device)

    def _look(self, *, with_power: bool) -> None:
        for probe, tally in zip(self._probes, self._tallies):
            try:
                self._read_into(tally, probe, with_power=with_power)
                if tally.is_suspicious:  # another reading decides whether the last one was a slip
                    self._read_into(tally, probe, with_power=with_power)
            except Lost as lost:
                tally.lose(str(lost))
            self._tell(probe.device, tally)

    def _read_into(self, tally: Tally, probe: Probe, *, with_power: bool) -> None:
        if tally.is_lost:
            return
        now = self._clock()
        counter = _attempt(probe.joules) if probe.counter_source is not None else None
        needs_power = with_power or counter is None or tally.is_bridged
        watts = _attempt(probe.watts) if probe.power_source is not None and needs_power else None
        tally.add(Reading(now, counter, watts))

    def _tell(self, device: Device, tally: Tally) -> None:
        for fault, sentence in tally.news:
            if (device.identity, fault) not in self._told:
                self._told.add((device.identity, fault))
                log.warning("Energy of %s (%s): %s", device.identity, device.model, sentence)
        tally.news.clear()

    def _energy(self) -> Energy:
        by_device = {probe.device.identity: tally.joules for probe, tally in zip(self._probes, self._tallies)}
        flaws = [
            f"{probe.device.identity}: {tally.flaw}"
            for probe, tally in zip(self._probes, self._tallies)
            if tally.flaw
        ]
        return Energy(math.fsum(by_device.values()), self._sources(), " ".join(flaws) or None, by_device)

    def _sources(self) -> str:
        sources = set()
        for number, probe in enumerate(self._probes):
            uses_power = number < len(self._tallies) and self._tallies[number].uses_power
            if probe.counter_source is not None:
                sources.add(probe.counter_source)
            if probe.power_source is not None and (uses_power or probe.counter_source is None):
                sources.add(probe.power_source)
        return "+".join(sorted(sources)) or NO_SOURCE


_running: weakref.WeakSet[Sampler] = weakref.WeakSet()


@functools.cache
def _close_at_exit() -> None:
    """Have the threads stopped before the vendors' libraries are torn down around them."""
    atexit.register(_close_running)


def _close_running() -> None:
    for meter in list(_running):
        meter.close()


def _watch(reference: weakref.ref[Sampler], stop: threading.Event) -> None:
    due = SAMPLE_SECONDS
    while not stop.wait(due):
        meter = reference()
        if meter is None:
            return
        due = meter.sample()
        del meter  # else it would never be collected


def _attempt(call: Callable[[], _Value]) -> _Value | None:
    """Return what a library says at the first or second asking, None where it says nothing."""
    for _ in range(ATTEMPTS):
        try:
            return call()
        except Lost:  # noqa: PERF203 - it loops for the sake of failures
            raise
        except Exception:  # noqa: BLE001 -- whatever a library raises is a reading that failed
            log.debug("An energy reading failed.", exc_info=True)
    return None
