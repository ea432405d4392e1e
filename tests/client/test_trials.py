"""A trial from its beginning to its end, with a real service that may be away."""

from __future__ import annotations

import _thread
import itertools
import logging
import math
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import batchbandit
from batchbandit.addresses import Address
from batchbandit.delivery import deliver_all
from batchbandit.energy.meters import NoMeter
from batchbandit.errors import InvalidJob, Unreachable
from batchbandit.results import Results
from batchbandit.service import PATIENCE_SECONDS, Service, TrialName
from batchbandit.spool import Spool
from tests.client.trainings import Declared, Pair, a_job, trials

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchbandit import JobSpec, Trial, Verdict
    from tests.client.conftest import Server

NOBODY = "http://127.0.0.1:9"
"""An address at which nothing listens."""
BRIEFLY = 0.2
"""The patience of a training whose service is away."""


def train(trial: Trial, meter: Declared, metrics: Sequence[float], cost: float = 10.0) -> list[int]:
    """Train an epoch a metric until told to stop, and return the epochs."""
    epochs = []
    for epoch, metric in zip(trial.epochs(), metrics):
        epochs.append(epoch)
        meter.spend(cost, 100 * cost)
        trial.report(metric)
    return epochs


def allocate(batch_size: int) -> None:
    """Take memory, of which there is enough for 16."""
    if batch_size > 16:
        raise MemoryError


def trained(
    url: str, job: JobSpec, *metrics: float, cost: float = 10.0, patience_seconds: float = PATIENCE_SECONDS
) -> Trial:
    """Train a job once and return the trial."""
    meter = Declared()
    with batchbandit.trial(
        url, job, meter=meter, clock=meter.clock, patience_seconds=patience_seconds
    ) as trial:
        train(trial, meter, metrics, cost)
    assert not meter.is_closed, "it is the script's"
    return trial


def test_a_training_runs_until_its_target_is_reached(server: Server) -> None:
    job = a_job()
    meter = Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        assert (trial.batch_size, trial.trial_number, trial.fallback) == (16, 1, None)
        meter.spend(99, 99)  # loading data before the epochs begin
        assert train(trial, meter, [0.1, 0.5, 0.95, 0.99]) == [1, 2, 3]
    assert (trial.stopped, trial.converged, trial.message) == (True, True, "Train succeeded")
    columns = "status, converged, time, energy, energy_source"
    assert trials(server.database, job, columns) == [("Succeeded", 1, 30.0, 3000.0, "declared")]


def test_a_training_that_costs_too_much_is_stopped(server: Server) -> None:
    job = a_job()
    trained(server.url, job, 0.95, cost=10)
    trial = trained(server.url, job, 0.1, 0.2, 0.3, 0.4, 0.5, cost=15)
    assert trial.stopped
    assert not trial.converged
    assert "exceeded the cost upper bound" in trial.message


def test_a_job_of_the_policy_frugal_recurs(server: Server) -> None:
    job = a_job(policy="frugal")
    costs = {8: 30.0, 16: 20.0, 32: 10.0}
    sizes = []
    for _ in range(8):
        meter = Declared()
        with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
            sizes.append(trial.batch_size)
            train(trial, meter, [0.3, 0.6, 0.95], costs[trial.batch_size])
    assert (sizes[0], set(sizes[3:])) == (16, {32})
    results = trials(server.database, job, "status, converged, epochs")
    assert results[-5:] == [("Succeeded", 1, 3)] * 5


def test_a_probe_that_is_not_worth_it_is_stopped(server: Server) -> None:
    job = a_job(policy="frugal")
    trained(server.url, job, 0.4, 0.95, cost=10)
    trial = trained(server.url, job, 0.01, 0.02, 0.03, 0.04, cost=19)
    assert (trial.batch_size, trial.stopped, trial.converged) == (32, True, False)
    assert "exceeded the cost upper bound" in trial.message
    assert trained(server.url, job, 0.4, 0.95, cost=10).batch_size != 32


def test_a_metric_that_is_no_number_is_reported(server: Server) -> None:
    job = a_job(max_epochs=2)
    trial = trained(server.url, job, math.nan, math.inf)
    assert trial.converged


def test_what_the_service_takes_is_neither_time_nor_energy_of_the_training(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = a_job()
    meter = Declared()
    report = Service.report

    def slowly(service: Service, body: Mapping[str, Any]) -> Verdict:
        meter.spend(1000, 1000)
        return report(service, body)

    monkeypatch.setattr(Service, "report", slowly)
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        train(trial, meter, [0.1, 0.95])
    assert trials(server.database, job, "time, energy") == [(20.0, 2000.0)]


def test_a_training_that_evaluates_now_and_then_reports_those_epochs(server: Server) -> None:
    job = a_job()
    meter = Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        for epoch in trial.epochs():
            meter.spend(1, 1)
            if epoch % 2 == 0:
                trial.report(0.95 if epoch == 4 else 0.1)
    assert epoch == 4
    assert trial.converged


def test_a_loop_of_its_own_may_report_too(server: Server) -> None:
    job = a_job(max_epochs=2)
    meter = Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        meter.spend(1, 1)
        assert not trial.report(0.1).stop_train
        meter.spend(1, 1)
        assert trial.report(0.2).stop_train
        assert trial.report(0.99) == trial.verdict  # nothing more is said
    assert "failed to converge within max_epoch(2)" in trial.message


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError(), "ZeroDivisionError"),
        (RuntimeError("CUDA out of memory."), "out_of_memory"),
        (KeyboardInterrupt(), "preempted"),
    ],
)
def test_a_block_left_by_an_exception_has_failed(server: Server, error: BaseException, reason: str) -> None:
    job = a_job()
    with pytest.raises(type(error)), batchbandit.trial(server.url, job, meter=Declared()):
        raise error
    assert trials(server.database, job, "status, failure_reason") == [("Failed", reason)]


def test_an_exception_after_the_target_was_reached_takes_nothing_back(server: Server) -> None:
    job = a_job()
    meter = Declared()
    block = batchbandit.trial(server.url, job, meter=meter, clock=meter.clock)
    train(block.__enter__(), meter, [0.95])
    block.__exit__(OSError, OSError("the disk is full"), None)
    assert trials(server.database, job, "status, failure_reason") == [("Succeeded", None)]


def test_a_block_left_early_has_not_converged(server: Server) -> None:
    job = a_job()
    trained(server.url, job, 0.1)
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "ended_early")]


def test_batch_sizes_that_fail_are_set_aside_by_their_memory(server: Server) -> None:
    job = a_job(batch_sizes=[16, 32], max_failures=1, num_pruning_rounds=0)
    sizes = set()
    for _ in range(6):
        meter = Declared()
        try:
            with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
                allocate(trial.batch_size)
                train(trial, meter, [0.95])
        except MemoryError:
            assert 32 not in sizes
        sizes.add(trial.batch_size)
    assert sizes <= {16, 32}
    failed = [row for row in trials(server.database, job) if row[2] == "Failed"]
    assert len(failed) <= 1


def test_heartbeats_shorten_the_lease(server: Server) -> None:
    job = a_job(lease_seconds=120)
    with batchbandit.trial(server.url, job, meter=Declared()) as trial:
        service = Service(Address.of(server.url))
        assert trial.trial_number is not None
        assert service.beat(TrialName(trial.job_id, trial.batch_size, trial.trial_number)) == 120
        service.close()


def test_a_meterless_training_costs_time_alone(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    job = a_job(eta_knob=1.0)
    clock = iter(range(1000))
    with batchbandit.trial(server.url, job, meter=NoMeter(), clock=lambda: float(next(clock))) as trial:
        for _ in trial.epochs():
            trial.report(0.95)
    assert trial.converged
    assert [record.message for record in caplog.records if "eta_knob 0" in record.message] == [
        "Nothing measures energy here, so the cost is time alone (eta_knob 0)."
    ]
    assert trials(server.database, job, "energy, energy_source") == [(0.0, "none")]


def test_a_meter_of_unknown_power_leaves_the_cost_to_time(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    job = a_job()
    meter = Declared()
    meter.devices = ()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        assert (trial.job.eta_knob, trial.job.max_power) == (0.0, 1.0)
        train(trial, meter, [0.95])
    assert trials(server.database, job, "status, energy") == [("Succeeded", 1000.0)]
    assert any("max_power is not named" in record.getMessage() for record in caplog.records)


def test_a_training_whose_energy_gets_lost_goes_on_and_teaches_nothing(server: Server) -> None:
    job = a_job()
    meter = Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        for epoch in trial.epochs():
            meter.spend(1, 1)
            meter.flaw = "GPU-1 was lost" if epoch > 1 else None
            trial.report(0.95 if epoch == 4 else 0.1)
    assert epoch == 4
    assert trial.converged
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "unmeasured")]


def test_without_a_service_a_training_uses_the_default_and_stops_by_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trial = trained(NOBODY, a_job(), 0.1, 0.2, 0.95, 0.99, patience_seconds=BRIEFLY)
    assert (trial.batch_size, trial.trial_number) == (16, None)
    assert trial.fallback is not None
    assert trial.converged
    warnings = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "the default" in warnings[0].getMessage()
    job = a_job(max_epochs=2)
    assert not trained(NOBODY, job, 0.1, 0.2, 0.95, patience_seconds=BRIEFLY).converged


def test_without_a_service_the_cheapest_that_is_known_here_is_used(own_server: Server) -> None:
    job = a_job(num_pruning_rounds=1)
    costs = {8: 30, 16: 20, 32: 5}
    for _ in range(3):
        meter = Declared()
        with batchbandit.trial(own_server.url, job, meter=meter, clock=meter.clock) as trial:
            train(trial, meter, [0.95], costs[trial.batch_size])
    own_server.stop()
    assert trained(own_server.url, job, 0.95, patience_seconds=BRIEFLY).batch_size == 32


def test_what_a_training_could_not_report_the_next_one_delivers(own_server: Server) -> None:
    job = a_job()
    trained(own_server.url, job, 0.95, cost=10)
    own_server.kill()
    trained(own_server.url, job, 0.1, 0.95, cost=7, patience_seconds=BRIEFLY)
    assert len(Spool.open().waiting()) == 1
    own_server.start()
    trial = trained(own_server.url, job, 0.95, cost=10)
    assert Spool.open().waiting() == []
    columns = "trial_number, type, status, converged, time, energy"
    found = trials(own_server.database, job, columns)
    assert found[1] == (2, "Concurrent", "Succeeded", 1, 14.0, 1400.0)
    assert trial.trial_number == 3


def test_a_service_that_goes_away_and_comes_back_hears_all(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchbandit.conversation.QUIET_SECONDS", 0.0)
    job = a_job()
    meter = Declared()
    with batchbandit.trial(
        own_server.url, job, meter=meter, clock=meter.clock, patience_seconds=1.0
    ) as trial:
        for epoch in trial.epochs():
            meter.spend(10, 10)
            if epoch == 2:
                own_server.kill()
            if epoch == 4:
                assert len(Spool.open().waiting()) == 1
                own_server.start()
            trial.report(0.95 if epoch == 5 else 0.1)
    assert trial.message == "Train succeeded"
    assert Spool.open().waiting() == []
    assert trials(own_server.database, job, "status, time") == [("Succeeded", 50.0)]


def test_a_training_that_began_alone_joins_when_the_service_comes(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchbandit.conversation.QUIET_SECONDS", 0.0)
    own_server.kill()
    job = a_job()
    meter = Declared()
    with batchbandit.trial(
        own_server.url, job, meter=meter, clock=meter.clock, patience_seconds=1.0
    ) as trial:
        for epoch in trial.epochs():
            meter.spend(10, 10)
            if epoch == 2:
                own_server.start()
            trial.report(0.95 if epoch == 3 else 0.1)
    assert trial.message == "Train succeeded"
    assert trials(own_server.database, job, "status, time") == [("Succeeded", 30.0)]


def test_a_refused_job_trains_all_the_same_and_says_why(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    job = a_job()
    trained(server.url, job, 0.95)
    changed = a_job(job_id=job.job_id, target_metric=0.5)
    trial = trained(server.url, changed, 0.1, 0.6)
    assert trial.converged
    assert "409" in str(trial.fallback)
    assert trial.message.startswith("Decided without the service: ")
    assert any("409" in record.getMessage() for record in caplog.records)
    assert Spool.open().waiting() == []
    assert len(trials(server.database, job)) == 1


def test_a_job_that_is_deleted_meanwhile_lets_the_training_go_on(server: Server) -> None:
    job = a_job()
    meter = Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
        httpx.delete(f"{server.url}/jobs", params={"job_id": str(job.job_id)}, trust_env=False)
        assert train(trial, meter, [0.1, 0.2, 0.95]) == [1, 2, 3]
    assert trial.converged


def test_flushing_delivers_what_waits(own_server: Server) -> None:
    job = a_job()
    own_server.kill()
    for _ in range(3):
        trained(own_server.url, job, 0.95, patience_seconds=BRIEFLY)
    own_server.start()
    service = Service(Address.of(own_server.url))
    deliver_all(Spool.open(), service, 10.0)
    deliver_all(Spool.open(), service, 10.0)
    service.close()
    assert [row[2] for row in trials(own_server.database, job)] == ["Succeeded"] * 3


@pytest.mark.parametrize("url", ["bandit:8000", "ftp://x"])
def test_a_mistake_in_the_script_is_raised_before_anything_is_asked(url: str) -> None:
    with pytest.raises(ValueError, match="http://HOST"):
        batchbandit.trial(url, a_job())


def test_batch_sizes_that_the_ranks_cannot_share_are_refused(server: Server) -> None:
    job = a_job(batch_sizes=[3, 8, 16])
    with (
        pytest.raises(InvalidJob, match=r"\b3\b"),
        batchbandit.trial(server.url, job, meter=Declared(), ranks=Pair()),
    ):
        pass


def test_a_trial_needs_no_folder(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(file))
    assert trained(server.url, a_job(), 0.95).converged


@pytest.mark.parametrize("is_answered", [True, False])
def test_a_training_that_is_interrupted_while_it_asks_leaves_no_trial_running(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, is_answered: bool
) -> None:
    job, meter = a_job(), Declared()
    suggest = Service.suggest

    def interrupted(service: Service, job_id: str, key: str) -> TrialName:
        if is_answered:
            suggest(service, job_id, key)
        raise KeyboardInterrupt

    monkeypatch.setattr(Service, "suggest", interrupted)
    monkeypatch.setattr("batchbandit.opening.find_meter", lambda *_, **__: meter)
    with pytest.raises(KeyboardInterrupt), batchbandit.trial(own_server.url, job):
        pass
    assert meter.is_closed
    monkeypatch.undo()
    monkeypatch.setenv("BATCHBANDIT_STATE_DIR", str(own_server.database.parent / "state"))
    assert trained(own_server.url, job, 0.95).converged
    found = trials(own_server.database, job, "status, failure_reason")
    assert found == [("Failed", "preempted"), ("Succeeded", None)]


def test_a_training_that_is_interrupted_before_it_begins_was_preempted(server: Server) -> None:
    class Interrupted(Pair):
        def share(self, _: Any) -> Any:  # noqa: ANN401 -- JSON
            raise KeyboardInterrupt

    job, meter = a_job(), Declared()
    with (
        pytest.raises(KeyboardInterrupt),
        batchbandit.trial(server.url, job, meter=meter, ranks=Interrupted()),
    ):
        pass
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_suggestion_whose_answer_was_lost_is_on_disk_before_the_training_begins(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    suggest = Service.suggest

    def lost(service: Service, job_id: str, key: str) -> TrialName:
        suggest(service, job_id, key)
        raise Unreachable("the answer was lost")

    job, meter = a_job(), Declared()
    with monkeypatch.context() as losing:
        losing.setattr(Service, "suggest", lost)
        block = batchbandit.trial(own_server.url, job, meter=meter, clock=meter.clock)
        trial = block.__enter__()
    assert len(Spool.open().waiting()) == 1
    train(trial, meter, [0.95])
    block.__exit__(None, None, None)
    assert trials(own_server.database, job) == [(1, 16, "Succeeded")]


def test_a_rank_that_tells_no_energy_leaves_the_training_unmeasured(server: Server) -> None:
    class Missing(Pair):
        def gather(self, value: Any) -> list[Any]:  # noqa: ANN401 -- JSON
            return [value, None]

    job, meter = a_job(), Declared()
    with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock, ranks=Missing()) as trial:
        assert train(trial, meter, [0.1, 0.95]) == [1, 2]
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "unmeasured")]


def test_what_waits_is_not_judged_by_what_was_said_of_an_earlier_epoch(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchbandit.conversation.QUIET_SECONDS", 0.0)
    job, meter = a_job(), Declared()
    report = Service.report
    calls = itertools.count()

    def first_alone(service: Service, body: Mapping[str, Any], *, patience_seconds: float = 0) -> Verdict:
        if next(calls) < 2 or body["current_epoch"] == 2:
            raise Unreachable("gone again")
        return report(service, body, patience_seconds=patience_seconds)

    monkeypatch.setattr(Service, "report", first_alone)
    with batchbandit.trial(own_server.url, job, meter=meter, clock=meter.clock) as trial:
        assert train(trial, meter, [0.1, 0.95, 0.95]) == [1, 2]
    assert trial.converged
    assert "without the service" in trial.message


def test_a_fault_of_the_client_stops_no_training_and_all_ranks_hear_the_same(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared: list[Any] = []

    class Heard(Pair):
        def share(self, value: Any) -> Any:  # noqa: ANN401 -- JSON
            shared.append(value)
            return value

    def broken(*_: object, **__: object) -> None:
        raise AssertionError

    class Stuck(Declared):
        close = broken

    monkeypatch.setattr(Results, "remember", broken)
    meter = Stuck()
    monkeypatch.setattr("batchbandit.opening.find_meter", lambda *_, **__: meter)
    with batchbandit.trial(server.url, a_job(), clock=meter.clock, ranks=Heard()) as trial:
        assert train(trial, meter, [0.1, 0.95]) == [1, 2]
        assert shared[-1] == list(trial.verdict)
    assert trial.converged
    assert [record.message for record in caplog.records if "Please report it" in record.message] == [
        f"A fault of batchbandit's own while {doing}; the training goes on. Please report it."
        for doing in ("reporting", "ending a trial")
    ]


def test_a_process_that_may_start_no_thread_trains_without_heartbeats(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refused)
    monkeypatch.setattr(threading.Thread, "start", refused)
    assert trained(server.url, a_job(), 0.95).message == "Train succeeded"


def test_a_metric_that_is_no_number_at_all_is_a_mistake_in_the_script(server: Server) -> None:
    with batchbandit.trial(server.url, a_job(), meter=Declared()) as trial, pytest.raises(TypeError):
        trial.report(None)  # type: ignore[arg-type]
