"""The power limit of a training, on GPUs whose limits are in a file, with a guardian that is real."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from batchbandit.energy.meters import Device, Energy
from batchbandit.power import PowerLimit, Terms
from batchbandit.power_profile import Measured, cost_of_step
from batchbandit.ranks import Alone

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = TypeVar("Json")
TRIED = [250.0, 225.0, 200.0, 175.0, 150.0, 125.0, 100.0]


class Gpus:
    """GPUs of 100 to 300 W; the limits they have, in watts."""

    def __init__(self, path: Path, **limits: float) -> None:
        self.path = path
        self._write({f"GPU-{name}": _gpu(limit) for name, limit in limits.items()})

    @property
    def limits(self) -> dict[str, float]:
        """Those that they have."""
        return {uuid[4:]: gpu["limit"] / 1000 for uuid, gpu in self._read().items()}

    def sets(self, name: str) -> list[float]:
        """Return those that were set."""
        return [milliwatts / 1000 for milliwatts in self._read()[f"GPU-{name}"]["sets"]]

    def change(self, name: str, **members: object) -> None:
        """Change members of one, in milliwatts."""
        gpus = self._read()
        gpus[f"GPU-{name}"].update(members)
        self._write(gpus)

    def _read(self) -> dict[str, dict[str, Any]]:
        gpus: dict[str, dict[str, Any]] = json.loads(self.path.read_text())
        return gpus

    def _write(self, gpus: dict[str, dict[str, Any]]) -> None:
        self.path.write_text(json.dumps(gpus))


def _gpu(watts: float) -> dict[str, object]:
    return {"limit": watts * 1000, "lowest": 100_000, "highest": 300_000, "sets": [], "flaws": {}}


def throughput(limit: float) -> float:
    """Return steps a second."""
    return 100 * (1 - math.exp(-limit / 90))


def power(limit: float) -> float:
    """Return watts."""
    return min(limit, 240.0)


def cheapest(limits: Sequence[float], eta: float) -> float:
    return min(limits, key=lambda each: cost_of_step(Measured(each, throughput(each), power(each)), eta, 300))


class Training:
    """A training whose steps last as long as its GPUs' limits let them; its own meter and clock."""

    def __init__(self, gpus: Gpus, *names: str) -> None:
        self.gpus = gpus
        self.names = names or ("a",)
        self.devices = [Device(f"GPU-{name}", "Fake", 300.0) for name in self.names]
        self.source = "nvml-counter"
        self.flaw: str | None = None
        self.now = 0.0
        self._settles_at = 0.0
        self._limits = gpus.limits
        self.start()

    def start(self) -> None:
        """Begin to measure."""
        self.by_device = {device.identity: 0.0 for device in self.devices}

    def read(self) -> Energy:
        """Return the energy."""
        return Energy(sum(self.by_device.values()), self.source, self.flaw, dict(self.by_device))

    def close(self) -> None:
        """Do nothing."""

    def clock(self) -> float:
        """Return seconds."""
        return self.now

    def step(self) -> None:
        """Train a step."""
        limits = self.gpus.limits
        if limits != self._limits:
            self._limits, self._settles_at = limits, self.now + 0.08
        slowness = 1 if self.now > self._settles_at else 3
        self._spend(slowness / throughput(min(limits.values())), limits)

    def validate(self) -> None:
        """Do something else, for long and at little power."""
        self._spend(30.0, dict.fromkeys(self.names, 40.0))

    def _spend(self, seconds: float, limits: dict[str, float]) -> None:
        self.now += seconds
        for name in self.names:
            self.by_device[f"GPU-{name}"] += seconds * power(limits[name])


class Deserted(Alone):
    """The only rank that is left."""

    def gather(self, value: Any) -> list[Any]:  # noqa: ANN401 - JSON
        """Return what it has, and nothing for the others."""
        return [value, *[None] * (self.size - 1)]


class Thread:
    """A rank that is a thread: all of them have one barrier and one table."""

    def __init__(self, rank: int, barrier: threading.Barrier, table: list[Any]) -> None:
        self.rank = rank
        self.size = len(table)
        self._barrier = barrier
        self._table = table

    def gather(self, value: Json) -> list[Json]:
        """Return what every rank has."""
        self._table[self.rank] = json.loads(json.dumps(value))
        self._barrier.wait(10)
        everyone = list(self._table)
        self._barrier.wait(10)
        return everyone

    def share(self, value: Json) -> Json:
        """Return what rank 0 has."""
        return self.gather(value)[0]


@pytest.fixture
def gpus(nvml: Path) -> Gpus:
    return Gpus(nvml, a=250)


@pytest.fixture
def training(gpus: Gpus) -> Training:
    return Training(gpus)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def limited(
    training: Training,
    folder: Path | None,
    eta: float = 0.5,
    ranks: Alone | Thread | None = None,
    *,
    remembers: bool = True,
) -> PowerLimit:
    terms = Terms("job", 64, eta, 300.0 * len(training.gpus.limits))
    return PowerLimit(
        terms,
        training,
        ranks or Alone(),
        folder,
        warmup_seconds=0.1,
        window_seconds=0.3,
        remembers=remembers,
        clock=training.clock,
    )


def train(limit: PowerLimit, training: Training, epochs: int = 1, steps: int = 700) -> None:
    for _ in range(epochs):
        for _ in limit.steps(range(steps)):
            training.step()
        training.validate()
        limit.drop()


@pytest.mark.parametrize("eta", [0.2, 0.5, 1.0])
def test_the_cheapest_limit_is_kept_and_the_old_one_restored(
    gpus: Gpus, training: Training, folder: Path, eta: float
) -> None:
    with limited(training, folder, eta) as limit:
        train(limit, training)
        assert limit.is_settled
        assert gpus.limits == {"a": cheapest(TRIED, eta)}
        assert limit.limit == cheapest(TRIED, eta)
        for measured in limit.measured:
            assert measured.throughput == pytest.approx(throughput(measured.limit))
            assert measured.power == pytest.approx(power(measured.limit))
    assert gpus.limits == {"a": 250}
    assert limit.limit is None


def test_nothing_is_set_before_the_block_or_above_the_limit_that_was_found(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    limit = limited(training, folder)
    assert gpus.sets("a") == []
    with limit:
        train(limit, training)
    assert max(gpus.sets("a")) == 250
    assert min(gpus.sets("a")) >= 100


def test_a_profile_goes_on_over_epochs_that_are_too_short_for_it(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training, steps=40)
        assert len(limit.measured) < 2
        train(limit, training, epochs=20, steps=40)
        assert limit.is_settled
        assert gpus.limits == {"a": cheapest(TRIED, 0.5)}


def test_validations_that_nobody_told_of_are_left_out(gpus: Gpus, training: Training, folder: Path) -> None:
    with limited(training, folder) as limit:
        for _ in range(30):
            for _ in range(40):
                training.step()
                limit.step()
            training.validate()
            limit.drop()  # as a trial does when an epoch is reported
        assert limit.is_settled
        assert gpus.limits == {"a": cheapest(TRIED, 0.5)}
        for measured in limit.measured:
            assert measured.throughput == pytest.approx(throughput(measured.limit))


def test_a_meter_may_be_started_anew(training: Training, folder: Path) -> None:
    with limited(training, folder) as limit:
        train(limit, training, steps=70)
        training.start()
        limit.drop()
        train(limit, training)
        assert [each.power for each in limit.measured] == pytest.approx(
            [power(each.limit) for each in limit.measured]
        )


def test_the_next_training_begins_with_the_limit_that_was_found(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
    gpus.change("a", sets=[])
    with limited(training, folder) as limit:
        assert limit.is_settled
        assert gpus.limits == {"a": cheapest(TRIED, 0.5)}
        train(limit, training)
    assert gpus.sets("a") == [cheapest(TRIED, 0.5), 250]
    with limited(training, folder, remembers=False) as limit:
        assert not limit.is_settled
    with limited(training, folder, eta=0.6) as limit:
        assert not limit.is_settled


def test_a_training_that_ends_too_early_leaves_nothing_to_remember(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training, steps=100)
    assert gpus.limits == {"a": 250}
    with limited(training, folder) as limit:
        assert not limit.is_settled


def test_an_exception_restores(gpus: Gpus, training: Training, folder: Path) -> None:
    def fails() -> None:
        with limited(training, folder) as limit:
            train(limit, training)
            raise ArithmeticError

    with pytest.raises(ArithmeticError):
        fails()
    assert gpus.limits == {"a": 250}


def test_several_gpus_have_one_limit_and_each_its_own_restored(nvml: Path, folder: Path) -> None:
    gpus = Gpus(nvml, a=250, b=200)
    training = Training(gpus, "a", "b")
    with limited(training, folder) as limit:
        assert gpus.limits == {"a": 200, "b": 200}
        train(limit, training)
        assert gpus.limits == dict.fromkeys("ab", limit.limit)
        assert limit.measured[0].power == pytest.approx(2 * power(200))
    assert gpus.limits == {"a": 250, "b": 200}


@pytest.mark.parametrize(
    ("flaws", "reason"),
    [
        ({"set": "denied"}, "setting it needs root, in a container the capability SYS_ADMIN"),
        ({"set": "unsupported"}, "GPU-a: Not Supported"),
        ({"constraints": "unsupported"}, "GPU-a: Not Supported"),
        ({"get": "lost"}, "GPU-a: GPU is lost"),
    ],
)
def test_a_limit_that_cannot_be_set_is_told_once_and_the_training_goes_on(
    gpus: Gpus,
    training: Training,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    flaws: dict[str, str],
    reason: str,
) -> None:
    gpus.change("a", flaws=flaws)
    with limited(training, folder) as limit:
        assert limit.is_settled
        train(limit, training, steps=50)
    assert gpus.limits == {"a": 250}
    assert gpus.sets("a") == []
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("The power limit stays as it was: ")
    assert reason in caplog.messages[0]


def test_a_limit_that_one_of_the_gpus_refuses_is_restored_on_all(
    nvml: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpus = Gpus(nvml, a=250, b=250)
    gpus.change("b", flaws={"stuck": 200_000})
    training = Training(gpus, "a", "b")
    with limited(training, folder) as limit:
        assert gpus.limits == {"a": 250, "b": 250}
        train(limit, training)
        assert limit.is_settled
        assert 200 in gpus.sets("a")
        assert gpus.limits == {"a": 250, "b": 250}
    assert caplog.messages == ["The power limit stays as it was: GPU-b: GPU is lost."]


def test_a_divided_gpu_is_left_alone(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpus.change("a", divided=True)
    with limited(training, folder):
        pass
    assert "GPU-a is divided (MIG)" in caplog.text
    assert gpus.sets("a") == []


def test_other_devices_are_left_alone(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training.devices = [Device("host/package-0", "a processor", 90.0, is_gpu=False)]
    with limited(training, folder):
        pass
    training.devices = [Device("af0fa58d", "of AMD", 300.0)]
    with limited(training, folder):
        pass
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "no GPU is measured.",
        "af0fa58d is not an NVIDIA GPU, or only a part of one.",
    ]
    assert gpus.sets("a") == []


def test_without_energy_a_folder_or_a_price_of_energy_nothing_is_set(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder, eta=0):
        pass
    with limited(training, None):
        pass
    training.source = "none"
    with limited(training, folder):
        pass
    assert [message.partition(": ")[2] for message in caplog.messages] == [
        "with eta_knob 0 energy costs nothing.",
        "no folder can be written that would note what is to be restored.",
        "no energy is measured.",
    ]
    assert gpus.sets("a") == []


def test_a_limit_that_is_already_the_lowest_stays(
    nvml: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpus = Gpus(nvml, a=110)
    with limited(Training(gpus), folder):
        pass
    assert "110 W is already the lowest" in caplog.text


def test_a_flawed_reading_restores(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder) as limit:
        train(limit, training, steps=100)
        training.flaw = "GPU-a was lost."
        train(limit, training)
        assert gpus.limits == {"a": 250}
    assert caplog.messages == ["The power limit stays as it was: GPU-a was lost."]


def test_a_counter_that_stands_still_restores(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    training.names = ()
    with limited(training, folder) as limit:
        train(limit, training)
        assert gpus.limits == {"a": 250}
    assert "no energy was measured in" in caplog.text


def test_two_trainings_do_not_share_a_gpu(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder) as first:
        train(first, training)
        kept = gpus.limits
        with limited(training, folder) as second:
            assert second.is_settled
            assert second.limit is None
        assert gpus.limits == kept
    assert gpus.limits == {"a": 250}
    assert caplog.messages == ["The power limit stays as it was: another training sets that of GPU-a."]


def test_a_limit_that_somebody_else_sets_meanwhile_is_left(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
        gpus.change("a", limit=110_000)
    assert gpus.limits == {"a": 110}


def children() -> set[int]:
    """Return the process IDs of this process's children, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that is just ending
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def kill_guardians() -> None:
    for child in children():
        if b"batchbandit.guardian" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, signal.SIGKILL)


def test_a_guardian_that_was_killed_is_followed_by_one_that_restores(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
        kill_guardians()
    assert gpus.limits == {"a": 250}
    assert caplog.messages == []


def test_a_guardian_that_is_killed_while_profiling_ends_the_profile(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder) as limit:
        train(limit, training, steps=100)
        kill_guardians()
        train(limit, training)
        assert limit.is_settled
        assert gpus.limits == {"a": 250}
    assert caplog.messages == ["The power limit stays as it was: the process that restores it has ended."]


@pytest.mark.parametrize("moment", ["killed before", "killed after"])
def test_a_guardian_that_is_killed_as_it_sets_a_limit_is_followed_by_one_that_restores(
    gpus: Gpus, training: Training, folder: Path, moment: str
) -> None:
    gpus.change("a", flaws={moment: 200_000, "rounds": 1000})
    with limited(training, folder) as limit:
        train(limit, training)
        assert limit.is_settled
        assert gpus.sets("a")[:2] == [250, 225]
    assert gpus.limits == {"a": 250}


def test_a_limit_that_the_driver_rounds_is_restored(nvml: Path, folder: Path) -> None:
    gpus = Gpus(nvml, a=250.5)
    gpus.change("a", flaws={"rounds": 1000})
    with limited(Training(gpus), folder):
        assert gpus.limits == {"a": 250}
        kill_guardians()
    assert gpus.sets("a") == [250.5, 250.5]


def test_a_gpu_that_is_free_has_its_limit_back_where_another_is_not(nvml: Path, folder: Path) -> None:
    gpus = Gpus(nvml, a=250, b=250)
    training = Training(gpus, "a", "b")
    with limited(training, folder) as limit:
        train(limit, training)
        gpus.change("a", flaws={"set": "lost"})
    gpus.change("a", flaws={})
    assert gpus.limits == {"a": cheapest(TRIED, 0.5), "b": 250}
    with limited(Training(gpus, "b"), folder), limited(training, folder):
        assert gpus.limits["a"] == 250
    assert gpus.limits == {"a": 250, "b": 250}


def test_what_was_not_restored_is_told_and_restored_by_the_next_training(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
        kept = gpus.limits
        gpus.change("a", flaws={"set": "lost"})
    assert gpus.limits == kept
    assert caplog.messages == [
        "The power limit is not as it was: GPU-a: GPU is lost; nvidia-smi -i GPU-a -pl 250 restores it."
    ]
    gpus.change("a", flaws={})
    with limited(training, folder) as limit:
        assert limit.is_settled  # it knows that 250 W was found, and what that profile came to
    assert gpus.limits == {"a": 250}


def test_a_note_is_not_believed_once_somebody_has_set_another_limit(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
        gpus.change("a", flaws={"set": "lost"})
    gpus.change("a", flaws={}, limit=225_000)
    with limited(training, folder) as limit:
        train(limit, training)
    assert gpus.limits == {"a": 225}


def test_a_forked_child_that_leaves_the_block_restores_nothing(
    gpus: Gpus, training: Training, folder: Path
) -> None:
    with limited(training, folder) as limit:
        train(limit, training)
        child = os.fork()
        if child == 0:
            limit.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert gpus.limits == {"a": cheapest(TRIED, 0.5)}
    assert gpus.limits == {"a": 250}


def test_no_process_is_left_and_none_says_anything(
    training: Training, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = children()
    with limited(training, folder) as limit:
        train(limit, training, steps=10)
        assert len(children() - before) == 1
    assert children() == before
    assert capfd.readouterr() == ("", "")


def run_ranks(trainings: Sequence[Training], folders: Sequence[Path]) -> list[tuple[Measured, ...]]:
    """Train in as many ranks, and return what each has measured."""
    table: list[Any] = [None] * len(trainings)
    barrier = threading.Barrier(len(trainings))

    def run(rank: int) -> tuple[Measured, ...]:
        ranks = Thread(rank, barrier, table)
        with limited(trainings[rank], folders[rank], ranks=ranks) as limit:
            train(limit, trainings[rank], steps=600)
            assert limit.is_settled
            ranks.gather(None)  # nobody restores before all have trained
            return tuple(limit.measured)

    with ThreadPoolExecutor(len(trainings)) as pool:
        return list(pool.map(run, range(len(trainings))))


def test_ranks_set_one_limit_on_the_gpus_of_all(nvml: Path, tmp_path: Path) -> None:
    gpus = Gpus(nvml, a=250, b=250)
    measured, other = run_ranks([Training(gpus, "a"), Training(gpus, "b")], [tmp_path / "a", tmp_path / "b"])
    assert measured == other
    assert gpus.sets("a") == gpus.sets("b")
    assert gpus.limits == {"a": 250, "b": 250}
    assert measured[0].power == pytest.approx(2 * power(250), rel=0.02)


def test_a_rank_that_measures_nothing_trains_at_the_limit_too(nvml: Path, tmp_path: Path) -> None:
    gpus = Gpus(nvml, a=250, b=250)
    other = Training(gpus)  # rank 0 sees all GPUs and measures them, as torchrun leaves it
    other.names, other.devices, other.source = (), [], "none"
    other.start()
    measured, seen = run_ranks([Training(gpus, "a", "b"), other], [tmp_path, tmp_path])
    assert measured == seen
    assert len(measured) > 1
    assert measured[0].power == pytest.approx(2 * power(250), rel=0.02)
    assert gpus.sets("a") == gpus.sets("b")
    assert gpus.limits == {"a": 250, "b": 250}


def test_a_block_that_is_interrupted_while_it_is_entered_restores(
    training: Training, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = limited(training, folder)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = children()
    monkeypatch.setattr("batchbandit.power.Stretch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        limit.__enter__()
    assert children() == before


def test_what_one_rank_may_not_no_rank_does(
    nvml: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gpus = Gpus(nvml, a=250, b=250)
    gpus.change("b", flaws={"set": "denied"})
    run_ranks([Training(gpus, "a"), Training(gpus, "b")], [tmp_path / "a", tmp_path / "b"])
    assert gpus.limits == {"a": 250, "b": 250}
    assert len(caplog.messages) == 1
    assert "GPU-b: setting it needs root" in caplog.messages[0]


def test_a_rank_that_is_gone_ends_the_profile(
    gpus: Gpus, training: Training, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ranks = Deserted()
    with limited(training, folder, ranks=ranks) as limit:
        train(limit, training, steps=70)
        assert limit.measured
        ranks.size = 2
        train(limit, training)
        assert gpus.limits == {"a": 250}
    assert caplog.messages == ["The power limit stays as it was: a rank does not answer."]


@pytest.mark.parametrize("is_used", [True, False])
def test_what_pytorch_has_put_off_is_waited_for(
    training: Training, folder: Path, monkeypatch: pytest.MonkeyPatch, *, is_used: bool
) -> None:
    waits: list[float] = []
    cuda = SimpleNamespace(is_initialized=lambda: is_used, synchronize=lambda: waits.append(training.now))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    with limited(training, folder) as limit:
        train(limit, training)
        while_profiling = len(waits)
        train(limit, training)
    assert bool(waits) == is_used
    assert len(waits) == while_profiling


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.inf, math.nan])
def test_seconds_that_are_none_are_refused(training: Training, folder: Path, seconds: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        PowerLimit(Terms("job", 64, 0.5, 300.0), training, Alone(), folder, window_seconds=seconds)
