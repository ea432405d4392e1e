"""Delivery: in order, and once in effect, wherever it is broken off and however often it is begun again."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batchbandit import locks
from batchbandit.addresses import Address
from batchbandit.delivery import deliver, deliver_all
from batchbandit.errors import Refused, ServiceError, Unreachable
from batchbandit.journals import Header
from batchbandit.service import Service, TrialName
from batchbandit.spool import Spool
from batchbandit.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from batchbandit.journals import Journal

Answer = TypeVar("Answer")

URL = "http://bandit:8000"
OTHER_URL = "http://other:8000"
SIZE, OTHER_SIZE = 16, 32


class Killed(BaseException):
    """The process dies here."""


@dataclass
class Faults:
    """What goes wrong, point by point; nothing once the plan is through."""

    plan: list[str] = field(default_factory=list)

    def at(self, fails: Callable[[], BaseException] | None = None) -> None:
        """Pass a point at which the process may be killed or, with ``fails``, what it does may fail."""
        fault = self.plan.pop(0) if self.plan else "none"
        if fault == "kill":
            raise Killed
        if fault == "fail" and fails is not None:
            raise fails()


@dataclass
class Entry:
    """A trial as the service knows it."""

    size: int
    status: str = "Dispatched"
    reason: str | None = None
    reports: list[int] = field(default_factory=list)
    converged: bool = False


class FakeService:
    """A service in memory, whose calls may fail or kill before and after they take effect."""

    def __init__(self, faults: Faults | None = None, stop_at: int = 10**6) -> None:
        self.address = Address(URL)
        self.faults = faults or Faults()
        self.stop_at = stop_at
        self.suggested = SIZE
        self.refusals: dict[str, ServiceError] = {}  # by call or by job
        self.pardons = False  # refuses once
        self.seconds = 0.0  # what a report takes
        self.jobs: set[str] = set()
        self.trials: dict[tuple[str, int], Entry] = {}
        self.keys: dict[str, TrialName] = {}
        self.log: list[TrialName] = []  # whom each report was of
        self.calls: list[str] = []
        self.patience: list[float | None] = []

    def register(self, body: Mapping[str, Any], *, patience_seconds: float | None = None) -> None:
        """Register a job."""
        job_id = body["job_id"]
        self._asked("register", job_id, patience_seconds, lambda: self.jobs.add(job_id))

    def suggest(self, job_id: str, key: str, *, patience_seconds: float | None = None) -> TrialName:
        """Dispatch a trial of the batch size that is set."""
        return self._asked(
            "suggest", job_id, patience_seconds, lambda: self._new(job_id, self.suggested, key)
        )

    def begin(self, job_id: str, size: int, key: str, *, patience_seconds: float | None = None) -> TrialName:
        """Dispatch a trial of a batch size."""
        return self._asked("begin", job_id, patience_seconds, lambda: self._new(job_id, size, key))

    def report(self, body: Mapping[str, Any], *, patience_seconds: float | None = None) -> Verdict:
        """Take a report."""
        assert set(body) == {*TrialName._fields, "time", "energy", "metric", "current_epoch", "energy_source"}
        time.sleep(self.seconds)
        return self._asked("report", body["job_id"], patience_seconds, lambda: self._heard(body))

    def end(
        self, name: TrialName, reason: str | None = None, *, patience_seconds: float | None = None
    ) -> None:
        """End a trial."""
        self._asked("end", name.job_id, patience_seconds, lambda: self._ended(name, reason))

    def _asked(self, call: str, job_id: str, patience: float | None, effect: Callable[[], Answer]) -> Answer:
        self.calls.append(call)
        self.patience.append(patience)
        self.faults.at(lambda: Unreachable("no request came through"))
        for refused in (call, job_id):
            if refused in self.refusals:
                raise self.refusals.pop(refused) if self.pardons else self.refusals[refused]
        answer = effect()
        self.faults.at(lambda: Unreachable("the answer was lost"))
        return answer

    def _new(self, job_id: str, size: int, key: str) -> TrialName:
        if job_id not in self.jobs:
            raise Refused(400, f"Unknown job({job_id}).")
        if key not in self.keys:
            name = TrialName(job_id, size, len(self.trials) + 1)
            self.keys[key] = name
            self.trials[job_id, name.trial_number] = Entry(size)
        return self.keys[key]

    def _heard(self, body: Mapping[str, Any]) -> Verdict:
        entry = self.trials.get((body["job_id"], body["trial_number"]))
        if entry is None or entry.size != body["batch_size"]:
            raise Refused(400, "Unknown trial.")
        if entry.status == "Succeeded":
            return Verdict(stop_train=True, converged=entry.converged, message="already reported")
        if entry.status == "Failed":
            raise Refused(400, "The trial has failed.")
        epoch = body["current_epoch"]
        if entry.reports[-1:] != [epoch]:  # the same again changes nothing
            entry.reports.append(epoch)
            self.log.append(TrialName(body["job_id"], entry.size, body["trial_number"]))
        if epoch >= self.stop_at:
            entry.status, entry.converged = "Succeeded", True
        return Verdict(entry.status == "Succeeded", entry.converged, "")

    def _ended(self, name: TrialName, reason: str | None) -> None:
        entry = self.trials.get((name.job_id, name.trial_number))
        if entry is None or entry.size != name.batch_size:
            raise Refused(404, "Could not find the trial.")
        if entry.status == "Dispatched":
            entry.status, entry.reason = "Failed", reason


def header(
    job_id: str = "resnet",
    key: str = "key",
    url: str = URL,
    trial_number: int | None = None,
    asked: str | None = None,
) -> Header:
    return Header(url, {"job_id": job_id}, SIZE, key, trial_number, asked)


def epoch(number: int) -> dict[str, Any]:
    return {
        "report": {
            "time": float(number),
            "energy": 0.0,
            "metric": 0.5,
            "current_epoch": number,
            "energy_source": "none",
        }
    }


def journal_of(spool: Spool, *epochs: int, head: Header | None = None, end: str | None = "") -> Journal:
    """Return a live journal with reports, and with an end unless that is empty."""
    journal = spool.create(head or header())
    for number in epochs:
        journal.append(epoch(number))
    if end != "":
        journal.append({"end": {"reason": end}})
    return journal


def as_service(fake: FakeService) -> Service:
    return cast("Service", fake)


def delivered(spool: Spool, fake: FakeService, patience_seconds: float | None = None) -> tuple[int, int, int]:
    """Deliver all, and return how many were delivered, refused and left."""
    return deliver_all(spool, as_service(fake), patience_seconds)[:3]


def test_a_training_that_could_not_ask_gets_a_trial_of_its_batch_size(spool: Spool) -> None:
    service = FakeService()
    journal_of(spool, 1, 2, end="preempted").close()
    assert delivered(spool, service) == (1, 0, 0)
    assert service.trials == {("resnet", 1): Entry(SIZE, "Failed", "preempted", [1, 2])}
    assert service.calls == ["register", "begin", "report", "report", "end"]
    assert spool.waiting() == []


def test_a_trial_that_is_known_is_reported_to_and_no_job_is_made_anew(spool: Spool) -> None:
    service = FakeService()
    service.trials["resnet", 7] = Entry(SIZE)
    journal_of(spool, 3, head=header(trial_number=7)).close()
    assert delivered(spool, service) == (1, 0, 0)
    assert service.calls == ["report", "end"]
    assert service.trials["resnet", 7] == Entry(SIZE, "Failed", None, [3])


def test_once_told_to_stop_nothing_more_is_sent(spool: Spool) -> None:
    service = FakeService(stop_at=2)
    journal_of(spool, 1, 2, 3, 4, end="ended_early").close()
    assert delivered(spool, service) == (1, 0, 0)
    assert service.calls == ["register", "begin", "report", "report"]
    assert service.trials["resnet", 1].status == "Succeeded"


@pytest.mark.parametrize("size", [SIZE, OTHER_SIZE])
def test_a_suggestion_whose_answer_was_lost_is_adopted_or_ended(spool: Spool, size: int) -> None:
    service = FakeService()
    service.suggested = size
    service.jobs.add("resnet")
    service.suggest("resnet", "lost")
    journal_of(spool, 1, head=header(asked="lost")).close()
    assert delivered(spool, service) == (1, 0, 0)
    trained = Entry(SIZE, "Failed", None, [1])
    if size == SIZE:
        assert list(service.trials.values()) == [trained]
    else:
        assert list(service.trials.values()) == [Entry(OTHER_SIZE, "Failed", "preempted"), trained]


def test_a_suggestion_that_is_refused_was_never_made(spool: Spool) -> None:
    service = FakeService()
    service.refusals["suggest"] = Refused(409, "No batch size is left.")
    journal_of(spool, 1, head=header(asked="lost")).close()
    assert delivered(spool, service) == (1, 0, 0)
    assert service.trials == {("resnet", 1): Entry(SIZE, "Failed", None, [1])}


def test_a_live_journal_keeps_its_file_and_goes_on_where_it_was(spool: Spool) -> None:
    service = FakeService()
    journal = journal_of(spool, 1, 2)
    outcome = deliver(journal, as_service(service))
    assert outcome == (Verdict(stop_train=False, converged=False, message=""), ("resnet", SIZE, 1), None)
    assert len(spool.waiting()) == 1
    journal.append(epoch(3))
    service.refusals["report"] = Unreachable("nobody answers")
    away = deliver(journal, as_service(service))
    assert (away.verdict, away.name) == (None, ("resnet", SIZE, 1))
    assert isinstance(away.error, Unreachable)
    service.refusals.clear()
    journal.append({"end": {"reason": "out_of_memory"}})
    assert deliver(journal, as_service(service)).error is None
    assert service.trials == {("resnet", 1): Entry(SIZE, "Failed", "out_of_memory", [1, 2, 3])}
    assert service.calls.count("register") == 1
    assert spool.waiting() == []


def test_a_live_journal_is_gone_once_the_service_says_stop(spool: Spool) -> None:
    journal = journal_of(spool, 1, 2)
    outcome = deliver(journal, as_service(FakeService(stop_at=2)))
    assert outcome.verdict is not None
    assert outcome.verdict.converged
    assert spool.waiting() == []


def test_a_journal_in_memory_is_delivered_as_one_on_disk() -> None:
    service = FakeService()
    assert deliver(journal_of(Spool(None), 1, end="x"), as_service(service)).error is None
    assert service.trials["resnet", 1] == Entry(SIZE, "Failed", "x", [1])


def test_a_live_training_s_journal_is_left_to_it(spool: Spool) -> None:
    service = FakeService()
    journal = journal_of(spool, 1)
    assert delivered(spool, service) == (0, 0, 0)
    assert service.calls == []
    journal.close()
    assert delivered(spool, service) == (1, 0, 0)


@pytest.mark.parametrize(
    ("call", "status"),
    [("register", 409), ("register", 422), ("begin", 404), ("report", 400), ("report", 422), ("end", 404)],
)
def test_what_is_refused_for_good_is_put_away_and_the_next_goes_on(
    spool: Spool, call: str, status: int, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    service = FakeService()
    journal_of(spool, 1, head=header(job_id="first")).close()
    journal_of(spool, 1, head=header(job_id="second", key="other")).close()
    sentence = f"{status}: no"
    service.refusals[call] = Refused(status, sentence)
    service.pardons = call == "report"
    result = deliver_all(spool, as_service(service))
    expected = (1, 1, 0) if call == "report" else (0, 2, 0)
    assert result[:3] == expected
    assert result.error is None
    assert spool.waiting() == []
    texts = sorted((tmp_path / "spool" / "refused").glob("*.txt"))
    assert [path.read_text() for path in texts] == [f"{sentence}\n"] * expected[1]
    assert len(caplog.messages) == expected[1]


def test_a_token_that_does_not_reach_a_job_holds_no_other_job_up(spool: Spool) -> None:
    service = FakeService()
    for number, job_id in enumerate(("first", "second", "first")):
        journal_of(spool, 1, head=header(job_id=job_id, key=str(number))).close()
    service.refusals["first"] = Refused(403, "403: not yours")
    result = deliver_all(spool, as_service(service))
    assert (result[:3], str(result.error)) == ((1, 0, 2), "403: not yours")
    assert service.calls.count("register") == 2
    assert list(service.trials) == [("second", 1)]
    service.refusals.clear()
    assert delivered(spool, service) == (2, 0, 0)


@pytest.mark.parametrize(
    "error", [Refused(401, "401: who are you?"), Refused(421, "421"), Unreachable("503")]
)
def test_what_may_be_mended_leaves_all_for_the_next_time(
    spool: Spool, error: ServiceError, caplog: pytest.LogCaptureFixture
) -> None:
    service = FakeService()
    journal_of(spool, 1).close()
    journal_of(spool, 1, head=header(job_id="second", key="other")).close()
    service.refusals["register"] = error
    result = deliver_all(spool, as_service(service))
    assert result[:4] == (0, 0, 2, error)
    assert service.calls == ["register"]
    assert len(spool.waiting()) == 2
    assert caplog.messages == []
    service.refusals.clear()
    assert delivered(spool, service) == (2, 0, 0)


def test_other_services_journals_are_left_alone(spool: Spool) -> None:
    service = FakeService()
    journal_of(spool, 1, head=header(url=OTHER_URL)).close()
    journal_of(spool, 1).close()
    assert delivered(spool, service) == (1, 0, 0)
    assert spool.urls() == [OTHER_URL]


def test_what_is_not_delivered_in_time_waits(spool: Spool) -> None:
    service = FakeService()
    for key in ("a", "b"):
        journal_of(spool, 1, 2, head=header(key=key)).close()
    assert delivered(spool, service, 0.0) == (0, 0, 2)
    assert service.calls == []
    service.seconds = 1.1
    assert delivered(spool, service, 1.0) == (0, 0, 2)
    assert all(patience is not None and 0 < patience <= 1 for patience in service.patience)
    assert service.calls.count("report") == 1
    service.seconds = 0.0
    assert delivered(spool, service) == (2, 0, 0)
    assert [entry.reports for entry in service.trials.values()] == [[1, 2], [1, 2]]


def test_one_delivers_at_a_time(spool: Spool) -> None:
    journal_of(spool, 1).close()
    service = FakeService()
    with spool.delivering():
        result = deliver_all(spool, as_service(service))
    assert result.is_busy
    assert service.calls == []


def test_a_report_after_the_end_is_never_sent_although_marks_cannot_be_written(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_of(spool, 1, 2).close()
    service = FakeService()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert delivered(spool, service) == (1, 0, 0)
    assert service.trials["resnet", 1] == Entry(SIZE, "Failed", None, [1, 2])
    assert spool.waiting() == []


class FaultyDisk:
    """The calls that change files, each with a plan of faults around it."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self._write, self._unlink = os.write, Path.unlink

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let all that is written be written here."""
        with ExitStack() as stack:
            stack.enter_context(mock.patch.object(os, "write", self._half_or_all))
            stack.enter_context(mock.patch.object(os, "fsync", self._settled))
            unlink = mock.patch.object(Path, "unlink", autospec=True)
            stack.enter_context(unlink).side_effect = self._gone
            yield

    def _half_or_all(self, descriptor: int, text: bytes) -> int:
        try:
            self.faults.at()
        except Killed:
            self._write(descriptor, text[: len(text) // 2])
            raise
        written = self._write(descriptor, text)
        self.faults.at()
        return written

    def _settled(self, _: int) -> None:
        self.faults.at()

    def _gone(self, path: Path) -> None:
        self.faults.at()
        self._unlink(path)
        self.faults.at()


# How many points go well, and what happens then, time and again.
plans = st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["kill", "fail"])), max_size=8)
trainings = st.tuples(
    st.integers(0, 4),  # epochs
    st.sampled_from(["preempted", "out_of_memory", None, ""]),  # the end, empty for a training that dies
    st.sampled_from([None, SIZE, OTHER_SIZE]),  # the batch size of a suggestion whose answer was lost
    st.booleans(),  # whether the trial is known from the start
    st.lists(st.booleans(), min_size=4, max_size=4),  # whether it delivers itself after an epoch
)


class World:
    """A machine whose trainings die at any point, and the service that they tell of themselves."""

    def __init__(self, folder: Path, faults: Faults, stop_at: int) -> None:
        self.folder = folder
        self.spool = Spool(folder)
        self.service = FakeService(faults, stop_at)
        self.told: dict[str, list[int]] = {}  # the epochs that are on disk for sure, by key
        self.most: dict[str, int] = {}  # the last epoch that may be
        self.reasons: dict[str, set[str | None]] = {}
        self.kept: set[str] = set()  # those of which something is on disk for sure
        self.early: set[str] = set()  # those that may have come before older ones, since they lived

    def train(self, key: str, training: tuple[Any, ...]) -> None:
        """Train until the end or until killed."""
        epochs, end, lost, is_known, delivers = training
        self.told[key], self.most[key], self.reasons[key] = [], 0, {None}
        service, plan = self.service, self.service.faults.plan
        head = header(key=key)
        service.faults.plan = []
        service.register({"job_id": "resnet"})
        if is_known:
            head = header(key=key, trial_number=service.begin("resnet", SIZE, key).trial_number)
        elif lost is not None:
            service.suggested = lost
            service.suggest("resnet", f"asked-{key}")
            head = header(key=key, asked=f"asked-{key}")
        service.faults.plan = plan
        journal = self.spool.create(head)
        for number in range(1, epochs + 1):
            self.most[key] = number
            journal.append(epoch(number))
            self.told[key].append(number)
            self.kept.add(key)
            if delivers[number - 1]:
                self.early.add(key)
                verdict = deliver(journal, as_service(service)).verdict
                if verdict is not None and verdict.stop_train:
                    return
        if end != "":
            self.reasons[key].add(end)
            journal.append({"end": {"reason": end}})
            self.reasons[key] = {end}
            self.kept.add(key)
        journal.close()

    def check(self) -> None:
        """See that each training is one trial with all of its reports, once and in their order."""
        service = self.service
        assert [path.name for path in self.folder.rglob("*") if path.suffix in {".jsonl", ".txt"}] == []
        order = []
        for key, told in self.told.items():
            names = [service.keys[k] for k in (key, f"asked-{key}") if k in service.keys]
            entries = [service.trials[name.job_id, name.trial_number] for name in names]
            ours = [entry for entry in entries if entry.reports]
            others = [entry for entry in entries if entry.size != SIZE]
            assert key not in self.kept or all(entry.reason == "preempted" for entry in others)
            assert len(ours) <= 1
            assert len(entries) - len(others) <= 1
            heard = ours[0].reports if ours else []
            assert heard == list(range(1, len(heard) + 1))
            assert min(len(told), service.stop_at) <= len(heard) <= min(self.most[key], service.stop_at)
            if ours:
                has_stopped = len(heard) == service.stop_at
                assert ours[0].status == ("Succeeded" if has_stopped else "Failed")
                assert ours[0].reason in ({None} if has_stopped else self.reasons[key])
                order += [] if key in self.early else [key]
        keys = {name: key.replace("asked-", "") for key, name in service.keys.items()}
        first = dict.fromkeys(keys[name] for name in service.log)
        assert [key for key in first if key in order] == order


def survives(action: Callable[[], object]) -> None:
    """Run something in a process of its own, as far as locks and memory go, which may be killed."""
    try:
        action()
    except Killed:
        pass
    finally:
        locks.let_go()


def run(folder: Path, plan: Sequence[tuple[int, str]], stop_at: int, some: Sequence[tuple[Any, ...]]) -> int:
    """Let trainings and deliveries live and die; return how many faults of the plan were not met."""
    faults = Faults([fault for points, last in plan for fault in [*["none"] * points, last]])
    world = World(folder, faults, stop_at)
    with FaultyDisk(faults).in_use():
        for number, training in enumerate(some):
            survives(partial(world.train, str(number), training))
        for _ in range(len(plan) + 1):  # the last one meets no fault any more
            survives(partial(deliver_all, world.spool, as_service(world.service)))
    world.check()
    return sum(fault != "none" for fault in faults.plan)


@pytest.mark.parametrize("fault", ["kill", "fail"])
@pytest.mark.parametrize("stop_at", [2, 9])
@pytest.mark.parametrize("lost", [SIZE, OTHER_SIZE])
def test_at_whichever_point_it_is_broken_off_each_report_counts_once(
    tmp_path: Path, lost: int, stop_at: int, fault: str
) -> None:
    quiet, lively = [False] * 4, [True, False, True, False]
    some = [(3, "out_of_memory", lost, False, quiet), (3, "", None, False, lively)]
    points = 0
    while run(tmp_path / str(points), [(points, fault)], stop_at, some) == 0:
        points += 1
    assert points > 60


@given(plans, st.integers(1, 6), st.lists(trainings, min_size=1, max_size=3))
@settings(deadline=None, max_examples=150)
def test_however_often_it_is_broken_off_each_report_counts_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[tuple[int, str]],
    stop_at: int,
    some: list[tuple[Any, ...]],
) -> None:
    run(tmp_path_factory.mktemp("state"), plan, stop_at, some)
