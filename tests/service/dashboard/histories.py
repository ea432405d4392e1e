"""Histories of jobs: made by chance, put together in Python, and shown as a job's view."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from msgspec import Struct

from core.cost import cost_of
from core.records import Policy, Specification, Stage, Trial, TrialStatus, TrialType
from service.store.series import Cell, Series
from service.views.shapes import Activity, BatchSizeState, BatchSizeView, JobView, SavingsView

few = settings(max_examples=30)
"""Of histories, each of which holds many trials."""
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class History(Struct, frozen=True):
    """A job's terms and its trials, ascending."""

    terms: Specification
    trials: tuple[Trial, ...]


def specification(sizes: Sequence[int], default: int, eta: float = 0.5) -> Specification:
    """Return the specification of a job."""
    return Specification(
        job_id="a-job",
        job_id_prefix="a",
        default_batch_size=default,
        higher_is_better_metric=True,
        eta_knob=eta,
        beta_knob=2.0,
        target_metric=0.5,
        max_epochs=10,
        num_pruning_rounds=2,
        window_size=0,
        max_power=300.0,
        number_of_gpus=1,
        gpu_model="A40",
        mab_prior_mean=0.0,
        mab_prior_precision=0.0,
        mab_num_explorations=2,
        mab_seed=1,
        lease_seconds=600.0,
        max_failures=3,
        batch_sizes=tuple(sorted(sizes)),
    )


def trial_of(number: int, size: int, ended: str, type_: TrialType, took: tuple[float, float]) -> Trial:
    """Return a trial that has ``ended`` as the charts call it, after seconds and joules."""
    has_result = ended in {"converged", "unconverged"}
    status = TrialStatus.FAILED if ended == "failed" else TrialStatus.DISPATCHED
    return Trial(
        job_id="a-job",
        batch_size=size,
        trial_number=number,
        start_timestamp=NOON + timedelta(hours=number),
        type=type_,
        status=TrialStatus.SUCCEEDED if has_result else status,
        time=took[0] if has_result else None,
        energy=took[1] if has_result else None,
        converged=ended == "converged" if has_result else None,
    )


@st.composite
def histories(draw: st.DrawFn, largest: float = 1e9) -> History:
    """Jobs with up to 60 trials, in any order of stages."""
    sizes = draw(st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=12, unique=True))
    terms = specification(sizes, draw(st.sampled_from(sizes)), draw(st.floats(0, 1)))
    quantity = st.floats(1e-3, largest)
    kinds = st.tuples(
        st.sampled_from(sizes),
        st.sampled_from(["converged", "converged", "unconverged", "failed", "running"]),
        st.sampled_from(TrialType),
        st.tuples(quantity, quantity),
    )
    first = draw(st.integers(1, 1_000_000))
    drawn = draw(st.lists(kinds, max_size=60))
    return History(terms, tuple(trial_of(number, *kind) for number, kind in enumerate(drawn, first)))


def series_of(history: History, width: int = 1) -> Series:
    """Put trials together, as the statements of the store do."""
    if not history.trials:
        return Series(1, 0, width, ())
    first, last = history.trials[0].trial_number, history.trials[-1].trial_number
    groups: dict[tuple[object, ...], list[Trial]] = {}
    for trial in history.trials:
        kind = (trial.batch_size, trial.type, trial.status, trial.converged)
        groups.setdefault(((trial.trial_number - first) // width, *kind), []).append(trial)
    cells = (
        cell_of(history.terms, (group[0].trial_number - first) // width, group) for group in groups.values()
    )
    ordered = tuple(sorted(cells, key=lambda cell: (cell.bin, cell.batch_size)))
    begin, end = (history.trials[at].start_timestamp for at in (0, -1))
    return Series(first, last, width, ordered, begin, end)


def cell_of(terms: Specification, number: int, trials: Sequence[Trial]) -> Cell:
    """Put trials of a bin together that are alike."""
    results = [
        (trial.time, trial.energy) for trial in trials if trial.time is not None and trial.energy is not None
    ]
    costs = [cost_of(terms, time, energy) for time, energy in results]
    return Cell(
        number,
        trials[0].batch_size,
        trials[0].type,
        trials[0].status,
        trials[0].converged,
        len(trials),
        sum(costs),
        min(costs, default=None),
        max(costs, default=None),
    )


def view_of(history: History, stage: Stage = Stage.MAB) -> JobView:
    """Show a job: what its trials say of each batch size, as means with an interval of a tenth."""
    terms = history.terms
    sizes = [_size_view(history, size, stage) for size in terms.batch_sizes]
    means = {view.batch_size: view.mean_cost for view in sizes if view.mean_cost is not None}
    count = [(trial.status, trial.converged) for trial in history.trials].count
    return JobView(
        job_id=terms.job_id,
        policy=Policy.ZEUS,
        stage=stage,
        activity=Activity.IDLE,
        problem=None,
        default_batch_size=terms.default_batch_size,
        best_batch_size=min(means, key=means.__getitem__, default=None),
        num_running=count((TrialStatus.DISPATCHED, None)),
        num_converged=count((TrialStatus.SUCCEEDED, True)),
        num_unconverged=count((TrialStatus.SUCCEEDED, False)),
        num_failed=count((TrialStatus.FAILED, None)),
        last_activity=None,
        savings=_savings(history),
        specification=terms,
        registered={},
        num_drifts=0,
        round=None,
        batch_sizes=sizes,
        probability_best=None,
        last_decision=None,
    )


def _size_view(history: History, size: int, stage: Stage) -> BatchSizeView:
    trials = [trial for trial in history.trials if trial.batch_size == size]
    results = [
        (trial.time, trial.energy) for trial in trials if trial.time and trial.energy and trial.converged
    ]
    time, energy = (
        (sum(part) / len(results) for part in zip(*results, strict=True)) if results else (None, None)
    )
    is_arm = stage is Stage.MAB and time is not None and energy is not None
    mean = (
        cost_of(history.terms, time, energy) if is_arm and time is not None and energy is not None else None
    )
    return BatchSizeView(
        batch_size=size,
        state=BatchSizeState.ARM if is_arm else BatchSizeState.PRUNED,
        mean_cost=mean,
        interval=None if mean is None else (0.9 * mean, 1.1 * mean),
        num_observations=len(results) if is_arm else 0,
        probability_best=0.5 if is_arm else None,
        num_trials=len(trials),
        share=len(trials) / len(history.trials) if history.trials else 0.0,
        num_converged=len(results),
        mean_time=time,
        mean_energy=energy,
        failures_in_a_row=0.0,
        failure_reason=None,
    )


def _savings(history: History) -> SavingsView | None:
    terms = history.terms
    spent = [
        (trial.time, trial.energy, bool(trial.converged), trial.batch_size)
        for trial in history.trials
        if trial.time is not None and trial.energy is not None
    ]
    usual = [one for one in spent if one[2] and one[3] == terms.default_batch_size]
    if not usual:
        return None
    usual_time, usual_energy = (sum(one[part] for one in usual) / len(usual) for part in (0, 1))
    converged = sum(one[2] for one in spent)
    time = converged * usual_time - sum(one[0] for one in spent)
    energy = converged * usual_energy - sum(one[1] for one in spent)
    cost, whole = cost_of(terms, time, energy), converged * cost_of(terms, usual_time, usual_energy)
    return SavingsView(
        time, energy, cost, cost / whole if whole else 0.0, usual_time, usual_energy, len(usual), "how"
    )
