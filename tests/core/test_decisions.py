"""Settling many decisions: one call of a kernel for all, and each job's outcome its own."""

from collections.abc import Callable, Generator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from core import trials
from core.decisions import settle
from core.errors import CostOutOfRange, NoBatchSizeLeft, TrialFailed
from core.kernels import posterior, thompson
from core.needs import Arms, Need, Stored
from core.records import Job, Report, Trial, TrialType
from core.streams import seeded

if TYPE_CHECKING:
    from tests.core.conftest import Ledger

MakeLedger = Callable[..., "Ledger"]
MakeReport = Callable[..., Report]
Decision = Generator[Need, Any, object]

NOW = datetime(2026, 3, 4, tzinfo=UTC)


class Loader:
    """Answers needs from the ledgers of many jobs, and keeps what was asked together."""

    def __init__(self, ledgers: Sequence["Ledger"]) -> None:
        self._ledgers = {ledger.job.job_id: ledger for ledger in ledgers}
        self.calls: list[list[Stored]] = []

    def __call__(self, wanted: Sequence[Stored]) -> list[object]:
        """Answer needs for what is stored, in their order."""
        self.calls.append(list(wanted))
        return [self._ledgers[need.job_id].answer(need) for need in wanted]


@pytest.fixture
def kernel_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the kernels in the order in which they are called."""
    calls: list[str] = []

    def counted(name: str, kernel: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            calls.append(name)
            return kernel(*arguments)

        return call

    monkeypatch.setattr(posterior, "fit", counted("fit", posterior.fit))
    monkeypatch.setattr(thompson, "choose", counted("choose", thompson.choose))
    return calls


@pytest.fixture
def ledgers(make_ledger: MakeLedger) -> list["Ledger"]:
    """Return ten jobs of different seeds, explored: the next suggestion bears their arms."""
    made = []
    for number in range(10):
        ledger = make_ledger(
            job_id=f"resnet-{number}", mab_num_explorations=1, mab_random_generator_state=seeded(number)
        )
        for index in range(6):
            trial = ledger.suggest().trial
            ledger.report(trial.trial_number, energy=100.0 + 5 * index**2)
        made.append(ledger)
    return made


def test_the_kernels_are_called_once_for_all_jobs(kernel_calls: list[str], ledgers: list["Ledger"]) -> None:
    loader = Loader(ledgers)
    outcomes = settle([trials.suggest(ledger.job, NOW) for ledger in ledgers], loader)
    assert [type(outcome) for outcome in outcomes] == [trials.Suggested] * 10
    assert kernel_calls == ["fit", "choose"]
    assert [len(call) for call in loader.calls] == [10, 10]


def test_jobs_settled_together_get_what_each_gets_alone(ledgers: list["Ledger"]) -> None:
    together = settle([trials.suggest(ledger.job, NOW) for ledger in ledgers], Loader(ledgers))
    alone = [ledger.decide(trials.suggest(ledger.job, NOW)) for ledger in ledgers]
    assert together == alone
    assert len({outcome.trial.batch_size for outcome in alone}) > 1


def test_suggestions_and_reports_of_all_stages_share_their_fits(
    kernel_calls: list[str], ledgers: list["Ledger"], make_report: MakeReport
) -> None:
    decisions: list[Decision] = []
    for index, ledger in enumerate(ledgers):
        if index % 2:
            trial = ledger.suggest().trial
            report = make_report(
                job_id=ledger.job.job_id, batch_size=trial.batch_size, trial_number=trial.trial_number
            )
            decisions.append(trials.report(ledger.job, trial, report, NOW))
        else:
            decisions.append(trials.suggest(ledger.job, NOW))
    kernel_calls.clear()

    outcomes = settle(decisions, Loader(ledgers))
    assert [type(outcome) for outcome in outcomes] == [trials.Suggested, trials.Reported] * 5
    assert kernel_calls == ["fit", "choose"]


def test_a_decision_that_raises_leaves_the_others_alone(
    kernel_calls: list[str], ledgers: list["Ledger"], make_ledger: MakeLedger, make_report: MakeReport
) -> None:
    lost = make_ledger(job_id="lost")
    for _ in range(2):
        lost.run(lambda _: 100.0, metric=0.0, current_epoch=10)
    failed = make_ledger(job_id="failed")
    failed.suggest()
    failed.fail(1)
    costless = make_ledger(job_id="costless")
    costless.suggest()

    def report(ledger: "Ledger", energy: float) -> Decision:
        said = make_report(job_id=ledger.job.job_id, energy=energy)
        return trials.report(ledger.job, ledger.trials[1], said, NOW)

    def broken(job: Job) -> Decision:
        yield Arms(job.job_id)
        raise ZeroDivisionError

    fine = [trials.suggest(ledger.job, NOW) for ledger in ledgers]
    decisions: list[Decision] = [
        trials.suggest(lost.job, NOW),
        *fine[:5],
        report(failed, 100.0),
        broken(failed.job),
        *fine[5:],
        report(costless, 0.0),
    ]
    kernel_calls.clear()
    outcomes = settle(decisions, Loader([*ledgers, lost, failed, costless]))

    raised = {0: NoBatchSizeLeft, 6: TrialFailed, 7: ZeroDivisionError, 13: CostOutOfRange}
    assert {i: type(o) for i, o in enumerate(outcomes) if isinstance(o, Exception)} == raised
    assert [o for i, o in enumerate(outcomes) if i not in raised] == [
        ledger.decide(trials.suggest(ledger.job, NOW)) for ledger in ledgers
    ]


def test_outcomes_are_in_the_order_of_their_decisions(make_ledger: MakeLedger) -> None:
    """Jobs that end at different steps: an exploration, a bandit's choice, a repeated report."""
    ledgers = []
    for number in range(9):
        ledger = make_ledger(job_id=f"job-{number}")
        if number % 3:
            ledger.reach_mab(lambda _: 100.0)
        ledgers.append(ledger)
    outcomes = settle([trials.suggest(ledger.job, NOW) for ledger in ledgers], Loader(ledgers))
    begun = [outcome.trial for outcome in outcomes if isinstance(outcome, trials.Suggested)]
    assert [trial.job_id for trial in begun] == [ledger.job.job_id for ledger in ledgers]
    assert [trial.type for trial in begun] == [TrialType.EXPLORATION, TrialType.MAB, TrialType.MAB] * 3


def test_a_decision_without_needs_reads_nothing(
    kernel_calls: list[str],
    make_ledger: MakeLedger,
    make_report: MakeReport,
    make_trial: Callable[..., Trial],
) -> None:
    loader = Loader([])
    ended = make_trial(energy=100.0)
    reports = [
        trials.report(make_ledger().job, ended, make_report(), NOW),
        trials.report(make_ledger().job, make_trial(), make_report(metric=0.0), NOW),
    ]
    assert [type(outcome) for outcome in settle(reports, loader)] == [trials.Reported] * 2
    assert settle([], loader) == []
    assert loader.calls == []
    assert kernel_calls == []


def test_what_load_raises_is_nobodys_outcome(ledgers: list["Ledger"]) -> None:
    def load(_: Sequence[Stored]) -> Sequence[object]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        settle([trials.suggest(ledger.job, NOW) for ledger in ledgers], load)
