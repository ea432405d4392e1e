"""A job whole: what it is choosing and why, what it has saved, what is wrong."""

from collections.abc import Mapping, Sequence
from typing import Self

from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection

from core import policies
from core.failures import WHOLE, is_set_aside
from core.odds import interval, probabilities_best
from core.pruning import prunes
from core.records import Arm, Job, Stage, Trial, specification_of
from core.savings import savings_of
from core.standing import Standing, standing
from service.store import job_pages, reading, trial_pages
from service.store.trial_pages import Tally
from service.views import words
from service.views.decision import decision_of
from service.views.jobs import explorations_of, summary_of
from service.views.known import known_job
from service.views.shapes import BatchSizeState, BatchSizeView, JobView, Round, SavingsView


class Dossier(Struct, frozen=True):
    """What is read of a job; ``arms`` in the bandit, ``explorations`` in the pruning stage."""

    job: Job
    batch_sizes: Sequence[int]
    arms: Mapping[int, Arm]
    explorations: Mapping[int, Sequence[Trial]]
    tallies: Mapping[int, Tally]
    num_running: int

    @classmethod
    def of(cls, connection: Connection, job: Job) -> Self:
        """Read it, by a number of statements that does not depend on the job."""
        in_bandit = job.stage is Stage.MAB
        return cls(
            job,
            reading.batch_sizes(connection, [job.job_id])[job.job_id],
            reading.arms(connection, [job.job_id])[job.job_id] if in_bandit else {},
            {} if in_bandit else explorations_of(connection, [job])[job.job_id],
            trial_pages.tallies(connection, job.job_id, job.reset_number),
            job_pages.running(connection, [job.job_id]).get(job.job_id, 0),
        )


def job_view(connection: Connection, job_id: str) -> JobView:
    """Return a job whole, by a number of statements that does not depend on its history.

    Raises:
        JobNotFound: There is no such job.
    """
    job = known_job(connection, job_id)
    dossier = Dossier.of(connection, job)
    summary = summary_of(job, dossier.num_running, dossier.arms, dossier.batch_sizes, dossier.explorations)
    batch_sizes, where = _batch_sizes(dossier)
    saved = savings_of(job)
    best = (one.probability_best for one in batch_sizes if one.batch_size == summary.best_batch_size)
    members = {name: getattr(summary, name) for name in summary.__struct_fields__} | {
        "specification": specification_of(job, dossier.batch_sizes),
        "registered": dict(job.registered),
        "num_drifts": job.num_drifts,
        "round": Round(where.round, job.num_pruning_rounds) if where and where.round else None,
        "batch_sizes": batch_sizes,
        "probability_best": next(best, None),
        "savings": None if saved is None else SavingsView(**asdict(saved), how=words.savings(job, saved)),
        "last_decision": decision_of(connection, job, None),
    }
    return JobView(**members)


def _batch_sizes(dossier: Dossier) -> tuple[list[BatchSizeView], Standing | None]:
    """Return what is known of each batch size and, in the pruning stage, where the walk stands."""
    job, arms = dossier.job, dossier.arms
    where = None
    if job.stage is Stage.PRUNING:
        where = standing(job, dossier.batch_sizes, dossier.explorations)
    left = set(where.left) if where else set()
    odds = _odds(job, arms)
    num_trials = sum(tally.num_trials for tally in dossier.tallies.values())

    def view_of(size: int) -> BatchSizeView:
        arm, tally, seen = arms.get(size), dossier.tallies.get(size, Tally()), job.failures.get(size)
        is_known = arm is not None and arm.num_observations > 0
        return BatchSizeView(
            batch_size=size,
            state=_state(job, arm, size, is_left=size in left),
            mean_cost=-arm.param_mean if arm is not None and is_known else None,
            interval=_interval(arm),
            num_observations=arm.num_observations if arm else 0,
            probability_best=odds.get(size),
            num_trials=tally.num_trials,
            share=tally.num_trials / num_trials if num_trials else 0.0,
            num_converged=tally.num_converged,
            mean_time=tally.time / tally.num_counted if tally.num_counted else None,
            mean_energy=tally.energy / tally.num_counted if tally.num_counted else None,
            failures_in_a_row=seen.thirds / WHOLE if seen else 0.0,
            failure_reason=seen.reason if seen else None,
        )

    return [view_of(size) for size in dossier.batch_sizes], where


def _state(job: Job, arm: Arm | None, size: int, *, is_left: bool) -> BatchSizeState:
    if is_set_aside(job, size):
        return BatchSizeState.SET_ASIDE
    if not prunes(job):
        return BatchSizeState.ARM if arm is not None and arm.num_observations else BatchSizeState.UNTRIED
    if arm is not None:
        return BatchSizeState.ARM
    return BatchSizeState.WALK if is_left else BatchSizeState.PRUNED


def _interval(arm: Arm | None) -> tuple[float, float] | None:
    """Return the interval of an arm's mean cost, which is minus its mean reward."""
    found = None if arm is None else interval(arm.param_mean, arm.param_precision)
    return None if found is None else (-found[1], -found[0])


def _odds(job: Job, arms: Mapping[int, Arm]) -> dict[int, float]:
    """Return the probability of being the best of the arms that can be chosen, by batch size.

    Where nothing is pruned, those are left out that have not converged.
    """
    if prunes(job):
        usable = [arm for size, arm in arms.items() if not is_set_aside(job, size)]
    else:
        usable = policies.of(job).proven(job, arms.values())
    best = probabilities_best(usable) if usable else []
    return {arm.batch_size: one for arm, one in zip(usable, best, strict=True)}
