"""What a policy is asked, and what it answers.

A policy decides; what all policies share, the life of a trial, is ``core.trials``. All that a policy keeps
stands in the records that it is given and returns, so that it goes on anywhere, after any restart. Its
decisions are generators that yield needs (``core.needs``); the rest are plain functions.
"""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from msgspec import Struct

from core.finding import Finding
from core.kept import Kept
from core.needs import Need, Precedent
from core.rationale import Rationale
from core.records import Arm, Job, Report, Trial, TrialType, Verdict
from core.sums import Sums


class Proposal(Struct, frozen=True):
    """What to try next and why, the job once that is chosen, and the arms that are born with it."""

    batch_size: int
    type: TrialType
    rationale: Rationale
    job: Job
    born: tuple[Arm, ...] = ()


class Judged(Struct, frozen=True):
    """What a report means, and the trial with what the policy keeps of the report, itself if nothing."""

    verdict: Verdict
    trial: Trial


class Drift(Struct, frozen=True):
    """Trainings at a batch size cost something else than they did: joules, expected and seen."""

    batch_size: int
    expected: float
    seen: float


class Learnt(Struct, frozen=True):
    """What a policy has made of a job.

    The arms that it fitted on their results, each with its sums, if it lives on them. Of a policy that fits
    none the arms as it believes in them, there before or not.
    """

    job: Job
    arms: tuple[tuple[Arm, Sums | None], ...] = ()
    drift: Drift | None = None
    believed: tuple[Arm, ...] = ()


Proposing = Generator[Need, Any, Proposal]
Learning = Generator[Need, Any, Learnt]


class Policy(Protocol):
    """How the batch sizes of a job are chosen.

    Of each trial since the job's last reset a policy hears ``dispatched`` as it starts to run, whoever chose
    its batch size, then once ``lost`` or ``learn``. A late result comes of a trial that was lost: it is
    dispatched again first.
    """

    STARTS_WARM: bool
    """Whether a new job may begin with what others have shown."""

    def registered(self, job: Job, batch_sizes: Sequence[int], precedents: Sequence[Precedent]) -> Job:
        """Return a new job with what others have shown, which is nothing where it begins cold."""

    def suggest(self, job: Job) -> Proposing:
        """Choose what to try next; of a job that is paused the best so far, without exploring.

        Raises:
            NoBatchSizeLeft: Every batch size has failed to converge, or is set aside.
        """

    def ensure_choice(
        self, job: Job, batch_sizes: Sequence[int], explorations: Mapping[int, Sequence[Trial]]
    ) -> None:
        """See that a job has something to try next, as ``suggest`` would.

        Args:
            job: The job.
            batch_sizes: Those of the job or, once it has pruned, of its arms.
            explorations: In the pruning stage, as ``core.pruning.walk`` takes them.

        Raises:
            NoBatchSizeLeft: As of ``suggest``.
        """

    def dispatched(self, job: Job, trial: Trial) -> Job:
        """Return a job of which a trial runs."""

    def judge(self, job: Job, trial: Trial, said: Report) -> Judged:
        """Judge a report of a trial.

        Raises:
            CostOutOfRange: The reported cost is not a cost.
        """

    def learn(self, job: Job, ended: Trial) -> Learning:
        """Learn from a trial that has a result; what it was judged with is still there."""

    def lost(self, job: Job, trial: Trial) -> Job:
        """Return a job of which a trial has failed."""

    def retune(self, before: Job, job: Job) -> Learning:
        """Take in that terms of a job have changed; its lowest cost is that under its new ones."""

    def started_over(self, job: Job, batch_sizes: Sequence[int]) -> Job:
        """Return a job of which no trial before counts any more, with nothing that they have shown."""

    def proven(self, job: Job, arms: Iterable[Arm]) -> list[Arm]:
        """Return the arms of which one may be called the best so far."""

    def audit(self, kept: Kept) -> Iterator[Finding]:
        """Go through what the policy keeps that is not as the trials make it."""
