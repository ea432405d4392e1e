"""Policy ``zeus``: prune the batch sizes that do not converge, then Gaussian Thompson sampling over the rest.

Source: You et al., "Zeus: Understanding and Optimizing GPU Energy Consumption of DNN Training", NSDI '23,
section 4; the order of rewards and of draws is that of its Batch Size Optimizer, to the last bit.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec.structs import replace

from core import arms, failures, needs, verdict
from core.arm_invariants import arm_findings, stage_findings
from core.errors import NoBatchSizeLeft
from core.finding import Finding
from core.kept import Kept, counted_trials
from core.needs import Precedent
from core.policies.protocol import Judged, Learning, Learnt, Proposal, Proposing
from core.pruning import Await, Explore, stand_in, walk
from core.rationale import Rationale, Rule, weighed
from core.records import Arm, Job, Report, Stage, Trial, TrialType

STARTS_WARM = False


def registered(job: Job, batch_sizes: Sequence[int], precedents: Sequence[Precedent]) -> Job:  # noqa: ARG001
    """Return the job, which begins cold."""
    return job


def suggest(job: Job) -> Proposing:
    """Take the next step of the walk or, once it is over, a Thompson step.

    Of a job that is paused it is the best one so far, outside the walk and outside the draws.

    Raises:
        NoBatchSizeLeft: Every batch size has failed to converge, or is set aside.
    """
    if job.stage is Stage.MAB:
        known = tuple((yield from needs.arms(job)).values())
        return _best(job, known) if job.is_paused else (yield from _sample(job, known))
    batch_sizes = yield from needs.batch_sizes(job)
    explorations = yield from needs.explorations(job)
    if job.is_paused:
        batch_size, why = stand_in(job, batch_sizes, explorations), Rationale(job.stage, Rule.PAUSED)
        return Proposal(batch_size, TrialType.CONCURRENT, why, job)
    step = walk(job, batch_sizes, explorations)
    if isinstance(step, Explore):
        why = Rationale(job.stage, step.rule, step.round)
        return Proposal(step.batch_size, TrialType.EXPLORATION, why, job)
    if isinstance(step, Await):
        batch_size = stand_in(job, batch_sizes, explorations)
        why = Rationale(job.stage, Rule.STAND_IN, step.round)
        return Proposal(batch_size, TrialType.CONCURRENT, why, job)
    born = yield from arms.born(job, step.batch_sizes, explorations)
    proposal = yield from _sample(replace(job, stage=Stage.MAB), born)
    return replace(proposal, born=born)


def _sample(job: Job, known: Sequence[Arm]) -> Proposing:
    usable = _usable(job, known)
    chosen = yield from needs.choice(job, usable)
    moved = replace(job, mab_random_generator_state=chosen.stream)
    arms_seen = weighed(usable, chosen.samples)
    rule = Rule.UNEXPLORED if arms_seen[0].sample is None else Rule.SAMPLED
    why = Rationale(job.stage, rule, arms=arms_seen)
    return Proposal(chosen.arm.batch_size, TrialType.MAB, why, moved)


def _best(job: Job, known: Sequence[Arm]) -> Proposal:
    """Propose the arm of the highest posterior mean; where none has results, the default."""
    usable = _usable(job, known)
    best = max(
        usable,
        key=lambda arm: (arm.num_observations > 0, arm.param_mean, arm.batch_size == job.default_batch_size),
    )
    why = Rationale(job.stage, Rule.PAUSED, arms=weighed(usable))
    return Proposal(best.batch_size, TrialType.CONCURRENT, why, job)


def _usable(job: Job, known: Sequence[Arm]) -> list[Arm]:
    """Return the arms that are not set aside.

    Raises:
        NoBatchSizeLeft: All are.
    """
    usable = [arm for arm in known if not failures.is_set_aside(job, arm.batch_size)]
    if not usable:
        raise NoBatchSizeLeft(failures.all_aside(job))
    return usable


def ensure_choice(job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]) -> None:
    """See that the walk goes on, and that not all is set aside.

    Raises:
        NoBatchSizeLeft: Every batch size has failed to converge, or is set aside.
    """
    if job.stage is Stage.PRUNING and not job.is_paused:  # else it is given the best one so far
        walk(job, batch_sizes, explorations)
    if not failures.usable(job, batch_sizes):
        raise NoBatchSizeLeft(failures.all_aside(job))


def dispatched(job: Job, trial: Trial) -> Job:  # noqa: ARG001  (a trial that runs is no evidence)
    """Return the job."""
    return job


def judge(job: Job, trial: Trial, said: Report) -> Judged:
    """Judge a report by its cost, its epoch and its metric; nothing of it is kept.

    Raises:
        CostOutOfRange: The reported cost is not a cost.
    """
    return Judged(verdict.judge(job, said), trial)


def learn(job: Job, ended: Trial) -> Learning:
    """Refit the arm of a trial's batch size, where there is one, on its results with that of the trial."""
    if job.stage is not Stage.MAB:
        return Learnt(job)
    known = yield from needs.arms(job)
    if ended.batch_size not in known:
        return Learnt(job)
    fitted = yield from arms.learnt(job, known[ended.batch_size], ended)
    return Learnt(job, (fitted,))


def lost(job: Job, trial: Trial) -> Job:  # noqa: ARG001  (a failure costs nothing that is known)
    """Return the job."""
    return job


def retune(before: Job, job: Job) -> Learning:
    """Refit every arm where a result has another cost now, or the window is another one."""
    has_new_window = max(job.window_size, 0) != max(before.window_size, 0)
    if job.stage is not Stage.MAB or (job.eta_knob == before.eta_knob and not has_new_window):
        return Learnt(job)
    known = yield from needs.arms(job)
    fitted = []
    for arm in known.values():
        refitted = yield from arms.retuned(job, arm, has_new_window=has_new_window)
        fitted.append(refitted)
    return Learnt(job, tuple(fitted))


def started_over(job: Job, batch_sizes: Sequence[int]) -> Job:  # noqa: ARG001
    """Return a job that prunes, from its default batch size; its random stream goes on."""
    return replace(job, stage=Stage.PRUNING, exp_default_batch_size=job.default_batch_size)


def proven(job: Job, arms: Iterable[Arm]) -> list[Arm]:
    """Leave out what has no result and what is set aside."""
    known = [arm for arm in arms if arm.num_observations > 0]
    return [arm for arm in known if not failures.is_set_aside(job, arm.batch_size)]


def audit(kept: Kept) -> Iterator[Finding]:
    """Go through what the walk or an arm does not have from the trials."""
    counted = counted_trials(kept)
    yield from stage_findings(kept, counted)
    yield from arm_findings(kept.job, counted, kept.arms, kept.histories, kept.sums)
