"""The life of a trial, whatever the policy of its job: dispatched, reported of, ended or given up."""

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from core import failures, leases, needs, policies, savings
from core.errors import TrialFailed, UnknownBatchSize
from core.lowest import with_cost
from core.needs import Need
from core.policies.protocol import Drift, Proposal
from core.rationale import Rationale, Rule
from core.records import Arm, Job, Report, Trial, TrialStatus, TrialType, Verdict
from core.sums import Sums


class Suggested(Struct, frozen=True):
    """A new trial and why it has its batch size, the job behind it, and the arms born with it."""

    trial: Trial
    rationale: Rationale
    job: Job
    born: tuple[Arm, ...] = ()


class Reported(Struct, frozen=True):
    """A verdict, and what changes: the trial, the job and, where the trial has ended, arms.

    An arm that was fitted comes with its running sums once it lives on them. ``drift`` is what the result has
    shown of earlier ones. ``believed`` are the arms of a policy that fits none.
    """

    verdict: Verdict
    trial: Trial | None = None
    job: Job | None = None
    arms: tuple[tuple[Arm, Sums | None], ...] = ()
    drift: Drift | None = None
    believed: tuple[Arm, ...] = ()


LATE = "late: the lease of this trial had run out; its result is kept all the same"

Suggestion = Generator[Need, Any, Suggested]
Reporting = Generator[Need, Any, Reported]


def suggest(job: Job, now: datetime) -> Suggestion:
    """Decide which batch size the next trial of a job uses, and dispatch it at ``now`` (UTC).

    Raises:
        NoBatchSizeLeft: Every batch size has failed to converge, or is set aside.
    """
    proposal = yield from policies.of(job).suggest(job)
    return _dispatch(proposal, now)


def begin(job: Job, batch_size: int, now: datetime) -> Suggestion:
    """Dispatch a trial at ``now`` (UTC) at a batch size that its training has chosen, set aside or not.

    It is outside what the policy explores: no random number is taken for it.

    Raises:
        UnknownBatchSize: It is not one of the job's.
    """
    batch_sizes = yield from needs.batch_sizes(job)
    if batch_size not in batch_sizes:
        raise UnknownBatchSize(f"Expected one of the batch sizes of job({job.job_id}), got {batch_size}")
    why = Rationale(job.stage, Rule.CHOSEN)
    return _dispatch(Proposal(batch_size, TrialType.CONCURRENT, why, job), now)


def _dispatch(proposal: Proposal, now: datetime) -> Suggested:
    job = proposal.job
    trial = leases.granted(
        job,
        Trial(
            job_id=job.job_id,
            batch_size=proposal.batch_size,
            trial_number=job.last_trial_number + 1,
            start_timestamp=now,
            type=proposal.type,
            status=TrialStatus.DISPATCHED,
        ),
        now,
    )
    job = replace(job, last_trial_number=trial.trial_number, last_activity=now)
    job = policies.of(job).dispatched(leases.watched(job, trial), trial)
    return Suggested(trial, proposal.rationale, job, proposal.born)


def expire(job: Job, now: datetime) -> Generator[Need, Any, tuple[Job, Sequence[Trial]]]:
    """Fail the trials of a job whose leases have run out at ``now`` (UTC); return them, and the job then."""
    if job.next_expiry is None or job.next_expiry > now:
        return job, ()
    running = yield from needs.leased(job)
    failed: list[Trial] = []
    for trial in running:
        if leases.has_expired(trial, now):
            job, expired = _lost(job, trial, leases.expired(trial), now)
            failed.append(expired)
    left = running[len(failed) :]
    return replace(job, next_expiry=left[0].lease_expires if left else None), failed


def end(job: Job, trial: Trial, reason: str | None, now: datetime) -> tuple[Job, Trial]:
    """Fail a running trial at ``now`` (UTC), for a reason if one is known; return the job then, and it."""
    if leases.has_expired(trial, now):
        failed = leases.expired(trial)
    else:
        failed = replace(
            trial,
            status=TrialStatus.FAILED,
            end_timestamp=max(now, trial.start_timestamp),
            failure_reason=reason,
        )
    return _lost(job, trial, failed, now)


def _lost(job: Job, trial: Trial, failed: Trial, now: datetime) -> tuple[Job, Trial]:
    job = savings.counted(failures.failed(job, failed), trial, failed, now)
    if failures.counts(job, failed):
        job = policies.of(job).lost(job, failed)
    return job, _without_curve(failed)


def _without_curve(trial: Trial) -> Trial:
    return trial if trial.curve is None else replace(trial, curve=None)


def report(job: Job, trial: Trial, said: Report, now: datetime) -> Reporting:
    """Decide what a report means and what it changes at ``now`` (UTC).

    A trial whose lease has run out is judged as if it had not.

    Raises:
        TrialFailed: The trial has ended without a result.
        CostOutOfRange: The reported cost is not a cost.
    """
    if trial.status is TrialStatus.SUCCEEDED:
        message = f"Result for this trial({trial.trial_number}) is already reported."
        return Reported(Verdict(stop_train=True, converged=bool(trial.converged), message=message))
    is_late = leases.has_expired(trial, now) or trial.failure_reason == leases.EXPIRED
    if trial.status is TrialStatus.FAILED and not is_late:
        raise TrialFailed(
            f"Trial({trial.trial_number}) of job({job.job_id}) has failed: it was ended before it reported a "
            f"result ({trial.failure_reason or 'no reason given'}). Ask for a new batch size."
        )
    judged = policies.of(job).judge(job, trial, said)
    verdict = judged.verdict
    job = leases.with_gap(job, trial, now)
    if is_late:
        verdict = replace(verdict, message=f"{verdict.message} ({LATE})")
    if not verdict.stop_train:
        if not is_late:
            heard = leases.reported(job, judged.trial, now)
        elif trial.status is TrialStatus.FAILED:
            heard = replace(judged.trial, last_report=now)
        else:  # its failure counts as its lease ran out, whoever notices first
            heard = judged.trial
        return Reported(verdict, heard if heard is not trial else None, leases.watched(job, heard))
    ended = replace(
        judged.trial,
        type=(yield from _late_type(job, trial)) if is_late else trial.type,
        status=TrialStatus.SUCCEEDED,
        end_timestamp=max(now, trial.start_timestamp),  # a clock may have been set back
        time=said.time,
        energy=said.energy,
        energy_source=said.energy_source,
        epochs=said.current_epoch,
        converged=verdict.converged,
        failure_reason=None,
        is_late=is_late,
    )
    job = savings.counted(job, trial, ended, now)
    over = _without_curve(ended)
    if not failures.counts(job, ended):
        return Reported(verdict, over, job)
    if trial.status is TrialStatus.FAILED:  # and was lost
        job = policies.of(job).dispatched(job, trial)
    learnt = yield from policies.of(job).learn(with_cost(failures.succeeded(job, ended), ended), ended)
    job = learnt.job
    if learnt.drift is not None:
        job = replace(job, num_drifts=job.num_drifts + 1)
        over = replace(over, drifted_from=learnt.drift.expected)
    return Reported(verdict, over, job, learnt.arms, learnt.drift, learnt.believed)


def _late_type(job: Job, trial: Trial) -> Generator[Need, Any, TrialType]:
    """Return what a late trial counts as: an exploration only if its batch size was not explored anew."""
    if trial.type is not TrialType.EXPLORATION:
        return trial.type
    newest = yield from needs.newest_exploration(job, trial.batch_size)
    return TrialType.EXPLORATION if newest == trial.trial_number else TrialType.CONCURRENT
