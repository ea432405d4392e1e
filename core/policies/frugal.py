"""Policy ``frugal``: probe what may save more than it costs to find out, and stop it as soon as it does not.

It learns two things of a batch size, what an epoch costs and how many it takes, and from each what to expect
of its neighbours. The mathematics is in ``core.kernels.beliefs`` and ``core.kernels.frugality``, with its
sources. Of what zeus reads it takes ``eta_knob``, ``beta_knob`` (None: nothing is stopped early),
``max_epochs``, ``num_pruning_rounds`` (how often a batch size is tried while nothing converges) and
``mab_seed``.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from core import failures
from core.cost import cost_of, reported_cost
from core.errors import KnowledgeUnreadable, NoBatchSizeLeft
from core.finding import Finding
from core.kept import Kept
from core.needs import Precedent
from core.policies.inheritance import inherited
from core.policies.knowledge import (
    MOST_RUNNING,
    Course,
    Knowledge,
    Seen,
    ahead_of,
    course_of,
    read,
    with_level,
    write,
)
from core.policies.knowledge_invariants import knowledge_findings
from core.policies.protocol import Drift, Judged, Learning, Learnt, Proposal, Proposing
from core.policies.thinking import Ending, Thinker, all_arms
from core.rationale import Rationale, Rule
from core.records import Arm, Job, Report, Stage, Trial, TrialType, Verdict
from core.verdict import GOING_ON, SUCCEEDED, has_reached, out_of_epochs

STARTS_WARM = True

RULES = (Rule.DEFAULT, Rule.SOUGHT, Rule.PROBED, Rule.SAMPLED)
"""In the kernel's order."""


def registered(job: Job, batch_sizes: Sequence[int], precedents: Sequence[Precedent]) -> Job:
    """Return a job that knows its batch sizes, and what one before it has shown. Nothing is ever pruned."""
    known = Knowledge(tuple(batch_sizes), inherited=inherited(batch_sizes, precedents))
    return replace(job, stage=Stage.MAB, knowledge=write(known))


def suggest(job: Job) -> Proposing:
    """Probe a batch size that is worth it; else sample among those that have converged.

    Of a job that is paused it is the one that is believed to be the best or, before any, the default.

    Raises:
        NoBatchSizeLeft: All are set aside, or none has converged as often as they are tried.
    """
    yield from ()
    known = known_of(job)
    usable = _usable(job, known)
    thinker = Thinker(job, known, usable=usable)
    if job.is_paused:
        best = thinker.leader() or (job.default_batch_size if job.default_batch_size in usable else usable[0])
        why = Rationale(job.stage, Rule.PAUSED, arms=thinker.weighed())
        return Proposal(best, TrialType.CONCURRENT, why, job)
    choice = thinker.choose()
    why = Rationale(
        job.stage,
        RULES[choice.rule],
        arms=thinker.weighed(choice.samples),
        saving=choice.saving,
        price=choice.price,
    )
    seen = known.seen.get(choice.batch_size)
    type_ = TrialType.MAB if seen is not None and seen.successes > 0 else TrialType.EXPLORATION
    moved = replace(job, mab_random_generator_state=choice.stream)
    return Proposal(choice.batch_size, type_, why, moved)


def ensure_choice(
    job: Job,
    batch_sizes: Sequence[int],  # noqa: ARG001  (it knows them)
    explorations: Mapping[int, Sequence[Trial]],  # noqa: ARG001
) -> None:
    """See that there is a batch size that is not given up.

    Raises:
        NoBatchSizeLeft: All are set aside, or none has converged as often as they are tried.
    """
    _usable(job, known_of(job))


def _usable(job: Job, known: Knowledge) -> list[int]:
    """Return the batch sizes that are not set aside or, while none of those has converged, given up.

    Raises:
        NoBatchSizeLeft: All are.
    """
    usable = failures.usable(job, known.batch_sizes)
    if not usable:
        raise NoBatchSizeLeft(failures.all_aside(job))
    if job.is_paused or any(size in known.seen and known.seen[size].successes > 0 for size in usable):
        return usable
    left = [size for size in usable if not _is_given_up(job, known.seen.get(size))]
    if not left:
        raise NoBatchSizeLeft(_nothing_converges(job))
    return left


def _is_given_up(job: Job, seen: Seen | None) -> bool:
    return seen is not None and seen.failures >= max(job.num_pruning_rounds, 1)


def _nothing_converges(job: Job) -> str:
    return (
        f"No batch size that is left of job({job.job_id}) reached its target metric {job.target_metric} in "
        f"{max(job.num_pruning_rounds, 1)} trainings.{failures.described(job)} Register a job with a new "
        "job_id and other batch_sizes, a target_metric that can be reached or more max_epochs; or mend what "
        f"made trainings fail and start over: {failures.reset_call(job)}."
    )


def dispatched(job: Job, trial: Trial) -> Job:
    """Return a job that knows of a trial that runs, so that those beside it try something else."""
    known = known_of(job)
    newest = [*known.running.items(), (trial.trial_number, trial.batch_size)][-MOST_RUNNING:]
    return _with(job, replace(known, running=dict(newest)))


def lost(job: Job, trial: Trial) -> Job:
    """Return a job that does not wait for a trial any more."""
    known = known_of(job)
    return _with(job, _without(known, trial)) if trial.trial_number in known.running else job


def _without(known: Knowledge, trial: Trial) -> Knowledge:
    left = {number: size for number, size in known.running.items() if number != trial.trial_number}
    return replace(known, running=left)


def judge(job: Job, trial: Trial, said: Report) -> Judged:
    """Stop a training that has reached the target, has no epoch left, or is not worth what it still costs.

    Once a batch size has converged, its trainings are stopped at ``beta_knob`` times what the best one is
    believed to cost; before, as soon as what it may save is less than what it would cost to go on.

    Raises:
        CostOutOfRange: The reported cost is not a cost.
    """
    cost = reported_cost(job, said.time, said.energy)
    known, before = known_of(job), course_of(trial.curve)
    course = before
    if said.batch_size not in known.curves:
        is_higher_better = job.higher_is_better_metric
        levels = with_level(course.levels, said.current_epoch, said.metric, is_higher_better=is_higher_better)
        course = replace(course, levels=levels)
    judgement = _judgement(job, known, course, said, cost)
    if judgement is not None:
        return _over(trial, course, said, judgement)
    is_further = course != before
    return Judged(GOING_ON, replace(trial, curve=write(course)) if is_further else trial)


class _Judgement(NamedTuple):
    """Why a training is over, and how; then the logarithm of epochs that it needs more than, where known."""

    message: str
    ending: Ending
    bound: float | None = None


def _over(trial: Trial, course: Course, said: Report, judgement: _Judgement) -> Judged:
    converged = judgement.ending is Ending.CONVERGED
    verdict = Verdict(stop_train=True, converged=converged, message=judgement.message)
    over = replace(course, epochs=said.current_epoch, ending=judgement.ending.value, bound=judgement.bound)
    return Judged(verdict, replace(trial, curve=write(over)))


def _judgement(job: Job, known: Knowledge, course: Course, said: Report, cost: float) -> _Judgement | None:
    """Return why a training is over, None where it is not."""
    if has_reached(job, said.metric):
        return _Judgement(SUCCEEDED, Ending.CONVERGED)
    if said.current_epoch >= job.max_epochs:
        return _Judgement(out_of_epochs(job), Ending.OUT_OF_EPOCHS)
    return _held_against_best(job, known, course, said, cost)


def _held_against_best(
    job: Job, known: Knowledge, course: Course, said: Report, cost: float
) -> _Judgement | None:
    """Return why a training that could go on is dearer than it is worth, None where it is not."""
    if known.leader is None or job.beta_knob is None:
        return None
    size, best, least = said.batch_size, known.leader.batch_size, known.leader.cost
    exceeded = f"Batch Size({size}) exceeded the cost upper bound: "
    if cost > job.beta_knob * least:
        bound = f"beta_knob({job.beta_knob})*cost({least}) of batch size {best}"
        return _Judgement(f"{exceeded}current cost({cost}) > {bound}", Ending.BEYOND_BOUND)
    if size in known.seen and known.seen[size].successes > 0:
        return None
    level = course.levels[-1][1] if course.levels else None
    ahead = ahead_of(known.curves.get(best, ()), level, is_higher_better=job.higher_is_better_metric)
    is_worth_it, at_least, rest = Thinker(job, known, size).is_worth_it(size, said.current_epoch, cost, ahead)
    if is_worth_it:
        return None
    missing = f"after current cost({cost}) it is expected to need {rest:.4g} J more, and a training at batch"
    return _Judgement(f"{exceeded}{missing} size {best} {least:.4g} J", Ending.HOPELESS, at_least)


def learn(job: Job, ended: Trial) -> Learning:
    """Learn what the epochs of a training cost, and how many it took or would have taken more than."""
    yield from ()
    known, course = _without(known_of(job), ended), course_of(ended.curve)
    time, energy = ended.time or 0.0, ended.energy or 0.0
    thinker = Thinker(job, known, ended.batch_size)
    expected = thinker.cost(ended.batch_size)
    has_drifted = thinker.learn(ended.batch_size, course, time, energy)
    curves = {} if has_drifted else known.curves
    if ended.converged and course.levels and ended.batch_size not in curves:
        curves = {**curves, ended.batch_size: course.levels}
    drift = Drift(ended.batch_size, expected, cost_of(job, time, energy)) if has_drifted else None
    learnt = replace(thinker.known, curves=curves)
    believed = all_arms(job, learnt) if has_drifted else thinker.arms()
    return Learnt(_with(job, learnt), drift=drift, believed=tuple(believed))


def retune(before: Job, job: Job) -> Learning:
    """Cost what is known anew; what epochs a batch size takes stays as it is."""
    yield from ()
    if before.eta_knob == job.eta_knob:
        return Learnt(job)
    known = known_of(job)
    known = replace(known, leader=Thinker(job, known).best())
    return Learnt(_with(job, known), believed=tuple(all_arms(job, known)))


def started_over(job: Job, batch_sizes: Sequence[int]) -> Job:
    """Return a job that knows nothing but what it inherits, and not even that where it cannot be read."""
    with suppress(KnowledgeUnreadable):
        return _with(job, Knowledge(tuple(batch_sizes), inherited=known_of(job).inherited))
    return _with(job, Knowledge(tuple(batch_sizes)))


def proven(job: Job, arms: Iterable[Arm]) -> list[Arm]:
    """Leave out what has not converged and what is set aside; of what cannot be read nothing is proven."""
    try:
        seen = known_of(job).seen
    except KnowledgeUnreadable:
        return []
    usable = set(failures.usable(job, (size for size, one in seen.items() if one.successes > 0)))
    return [arm for arm in arms if arm.batch_size in usable]


def audit(kept: Kept) -> Iterator[Finding]:
    """Go through what is known that no trial has shown."""
    yield from knowledge_findings(kept)


def known_of(job: Job) -> Knowledge:
    """Return what is known of a job.

    Raises:
        KnowledgeUnreadable: Something else has written there.
    """
    try:
        return read(job.knowledge or "")
    except msgspec.DecodeError as error:
        raise KnowledgeUnreadable(
            f"What is known of job({job.job_id}) cannot be read ({error}). Restore the database from a "
            f"backup; or let the job start over, knowing nothing: {failures.reset_call(job)}."
        ) from error


def _with(job: Job, known: Knowledge) -> Job:
    return replace(job, knowledge=write(known))
