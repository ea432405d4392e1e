"""The thread of a meter, in real time, and what may go wrong around it."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from batchbandit.energy import sampling
from batchbandit.energy.meters import Device
from batchbandit.energy.sampling import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Sensor:
    """A probe of a device that draws a constant power in real time."""

    range_joules: float | None = None
    limit_watts = 400.0

    def __init__(self, *, has_counter: bool = True, watts: float = 100.0) -> None:
        self.device = Device("GPU-aa", "a GPU", 400.0)
        self.counter_source: str | None = "counter" if has_counter else None
        self.power_source: str | None = "power"
        self.drawn_watts = watts
        self.reads = 0
        self.hold: threading.Event | None = None

    def joules(self) -> float:
        """Return the counter."""
        self._ask()
        return 5000 + time.monotonic() * self.drawn_watts

    def watts(self) -> float:
        """Return the power."""
        self._ask()
        return self.drawn_watts

    def _ask(self) -> None:
        self.reads += 1
        if self.hold is not None:
            self.hold.wait(10)


@pytest.fixture
def make() -> Iterator[Callable[..., Sampler]]:
    """What makes meters that are closed after the test."""
    meters: list[Sampler] = []

    def made(*probes: Sensor) -> Sampler:
        meters.append(Sampler(probes))
        return meters[-1]

    yield made
    for meter in meters:
        meter.close()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "batchbandit-energy"]


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_power_is_sampled_while_nobody_reads(make: Callable[..., Sampler]) -> None:
    meter = make(Sensor(has_counter=False))
    before = time.monotonic()
    meter.start()
    started = time.monotonic()
    time.sleep(0.55)
    reading = time.monotonic()
    energy = meter.read()
    assert 99 * (reading - started) <= energy.joules <= 101 * (time.monotonic() - before)
    assert (energy.source, energy.flaw) == ("power", None)


def test_a_counter_that_is_well_is_looked_at_seldom(make: Callable[..., Sampler]) -> None:
    sensor = Sensor()
    make(sensor).start()
    time.sleep(0.5)
    assert sensor.reads <= 4


def test_one_daemon_thread_runs_from_start_to_close(make: Callable[..., Sampler]) -> None:
    meter = make(Sensor())
    assert threads() == []
    meter.start()
    meter.start()
    assert [thread.daemon for thread in threads()] == [True]
    meter.close()
    assert threads() == []
    meter.start()
    assert threads() == []


def test_a_meter_that_was_closed_says_so_when_it_is_started_again(make: Callable[..., Sampler]) -> None:
    meter = make(Sensor())
    meter.start()
    time.sleep(0.05)
    meter.close()
    meter.start()
    energy = meter.read()
    assert energy.joules == 0  # not those of the training before
    assert "closed" in str(energy.flaw)


def test_without_a_thread_what_is_read_is_measured(
    make: Callable[..., Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refused)
    meter = make(Sensor())
    meter.start()
    time.sleep(0.05)
    energy = meter.read()
    assert energy.joules > 0
    assert energy.flaw is None


def test_a_meter_that_nobody_holds_stops_its_thread() -> None:
    meter = Sampler([Sensor(has_counter=False)])
    meter.start()
    reference = weakref.ref(meter)
    del meter

    def is_gone() -> bool:
        gc.collect()
        return reference() is None and not threads()

    wait_for(is_gone)


def test_a_meter_that_was_not_started_has_measured_nothing(make: Callable[..., Sampler]) -> None:
    energy = make(Sensor()).read()
    assert (energy.joules, energy.source, energy.flaw) == (0, "counter", None)


def test_a_library_that_hangs_does_not_hang_the_training(
    make: Callable[..., Sampler], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(sampling, "WATCH_SECONDS", 0.01)
    sensor = Sensor()
    meter = make(sensor)
    meter.start()
    before = meter.read()
    sensor.hold = threading.Event()
    seen = sensor.reads
    wait_for(lambda: sensor.reads > seen)  # the thread is in the library now
    energy = meter.read()
    assert energy.joules >= before.joules
    assert "did not answer" in str(energy.flaw)
    meter.start()
    assert meter.read().joules == 0
    assert "did not answer" in str(meter.read().flaw)
    sensor.hold.set()
    sensor.hold = None
    meter.start()
    assert meter.read().flaw is None


def test_a_library_that_hangs_is_not_closed_under_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "JOIN_SECONDS", 0.05)
    closed: list[str] = []
    sensor = Sensor(has_counter=False)
    release = threading.Event()
    meter = Sampler([sensor], on_close=[lambda: closed.append("closed")])
    meter.start()
    sensor.hold = release
    seen = sensor.reads
    wait_for(lambda: sensor.reads > seen)
    meter.close()
    assert closed == []
    release.set()
    wait_for(lambda: not threads())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_measures_nothing_and_says_so(make: Callable[..., Sampler]) -> None:
    sensor = Sensor()
    meter = make(sensor)
    meter.start()
    before = meter.read()
    reads = sensor.reads
    child = os.fork()
    if child == 0:
        meter._stop = None  # type: ignore[assignment]  # noqa: SLF001 - its lock may be held for ever
        meter.start()
        energy = meter.read()
        meter.close()
        is_right = "forked" in str(energy.flaw) and energy.joules == before.joules and sensor.reads == reads
        os._exit(0 if is_right else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert meter.read().flaw is None


def test_a_process_ends_while_its_meter_runs() -> None:
    script = (
        "from batchbandit.energy.sampling import Sampler\n"
        "from batchbandit.energy.meters import Device\n"
        "class Probe:\n"
        "    device = Device('GPU-aa', 'a GPU', 400.0)\n"
        "    counter_source, power_source, range_joules, limit_watts = None, 'power', None, 400.0\n"
        "    def watts(self): return 100.0\n"
        "meter = Sampler([Probe()], on_close=[lambda: print('closed')])\n"
        "meter.start()\n"
    )
    source = Path(sampling.__file__).parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "PYTHONPATH": str(source)},
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "closed\n", "")
