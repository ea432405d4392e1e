"""A trial: one training of a job with one batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from batchbandit.folders import state_folder
from batchbandit.log import log
from batchbandit.power import PowerLimit, Terms
from batchbandit.reasons import PREEMPTED, UNMEASURED, reason_of
from batchbandit.shield import shielded
from batchbandit.verdicts import Verdict, own_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchbandit.asking import Suggestion
    from batchbandit.conversation import Conversation
    from batchbandit.jobs import JobSpec
    from batchbandit.ranks import Ranks
    from batchbandit.results import Results
    from batchbandit.stopwatch import Measurement, Stopwatch
    from batchbandit.termination import Termination


class Talk(NamedTuple):
    """What rank 0 alone has: the conversation, None where the service refuses the job, and past results."""

    conversation: Conversation | None
    results: Results


class Trial:
    """One training of a job with one batch size, on each of its ranks.

    ``batch_size`` is that of all ranks together, ``per_device_batch_size`` each rank's share. Where the
    service could not be asked ``trial_number`` is None, and ``fallback`` says why.
    """

    def __init__(
        self,
        job: JobSpec,
        suggestion: Suggestion,
        ranks: Ranks,
        stopwatch: Stopwatch,
        termination: Termination,
        talk: Talk | None,
    ) -> None:
        self.job = job
        self.ranks = ranks
        self.batch_size, self.trial_number, self.fallback = suggestion
        self.per_device_batch_size = self.batch_size // ranks.size
        self.verdict = Verdict(stop_train=False, converged=False, message="")
        self._stopwatch = stopwatch
        self._termination = termination
        self._talk = talk
        self._limit: PowerLimit | None = None
        self._epoch = 0
        self._is_counting = False  # epochs() counts; else every report is an epoch

    @property
    def job_id(self) -> str:
        """The job's name."""
        return str(self.job.job_id)

    @property
    def stopped(self) -> bool:
        """Whether the training is to stop."""
        return self.verdict.stop_train

    @property
    def converged(self) -> bool:
        """Whether the target was reached within the bounds."""
        return self.verdict.converged

    @property
    def message(self) -> str:
        """Why the training is to stop or to go on."""
        return self.verdict.message

    def begin(self) -> None:
        """Begin to measure anew: time and energy since the block was entered are forgotten."""
        self._stopwatch.start()
        self._interrupt()

    def power_limit(
        self, *, warmup_seconds: float = 2.0, window_seconds: float = 5.0, remembers: bool = True
    ) -> PowerLimit:
        """Return a block in which the GPUs' power limit is the cheapest for the job's ``eta_knob``.

        Args:
            warmup_seconds: How long GPUs settle at a limit that is tried, at least.
            window_seconds: How long is measured at each.
            remembers: Whether what an earlier training found is believed.

        Raises:
            ValueError: Seconds that are not above 0.
        """
        terms = Terms(self.job_id, self.batch_size, self.job.eta_knob, self.job.max_power or 0.0)
        self._limit = PowerLimit(
            terms,
            self._stopwatch.meter,
            self.ranks,
            state_folder(),
            warmup_seconds=warmup_seconds,
            window_seconds=window_seconds,
            remembers=remembers,
            clock=self._stopwatch.clock,
        )
        return self._limit

    def epochs(self) -> Iterator[int]:
        """Count the epochs from 1 until the training is to stop; time and energy begin here."""
        self._is_counting = True
        self.begin()
        while not self.stopped and self._epoch < self.job.max_epochs:
            self._epoch += 1
            yield self._epoch

    def report(self, metric: float) -> Verdict:
        """Report the metric after an epoch, and return what is said of the training; every rank calls it.

        The metric of rank 0 counts. What the report takes is neither time nor energy of the training.
        """
        if self.stopped:
            return self.verdict
        metric = float(metric)
        with self._termination.heeded():
            self._report(metric)
        return self.verdict

    def end(self, error: BaseException | None = None, *, was_terminated: bool = False) -> None:
        """End the trial; one that was not told to stop has failed, for a reason told by the exception."""
        if self._talk is None or self._talk.conversation is None:
            return
        # One that stopped by itself, since nobody could be asked, is not to be held against its batch size.
        reason = PREEMPTED if self.stopped else reason_of(error, was_terminated=was_terminated)
        self._talk.conversation.end(reason)

    def _report(self, metric: float) -> None:
        if not self._is_counting:
            self._epoch += 1
        measurement = self._stopwatch.stop()
        verdict = own_verdict(self.job, metric, self._epoch)
        if self._talk is not None:
            with shielded("reporting"):
                verdict = self._judged(self._talk, verdict, metric, measurement)
        self.verdict = Verdict(*self.ranks.share(list(verdict)))
        self._stopwatch.resume()
        self._interrupt()

    def _interrupt(self) -> None:
        """Let no step be timed across what has just passed."""
        if self._limit is not None:
            self._limit.drop()

    def _judged(self, talk: Talk, own: Verdict, metric: float, measurement: Measurement) -> Verdict:
        verdict = own
        if measurement.flaw is not None:
            self._give_up(talk, measurement.flaw)
        elif talk.conversation is not None:
            verdict = talk.conversation.report(_body(metric, self._epoch, measurement)) or own
        if verdict.stop_train and measurement.flaw is None:
            cost = self._cost(measurement)
            talk.results.remember(self.job.body(), self.batch_size, cost, converged=verdict.converged)
        return verdict

    def _give_up(self, talk: Talk, flaw: str) -> None:
        """Let the service hear no more of a training whose cost is unknown."""
        if talk.conversation is not None:
            log.warning("This training teaches nothing any more, since its energy is not measured: %s", flaw)
            talk.conversation.end(UNMEASURED)
            self._talk = talk._replace(conversation=None)

    def _cost(self, measurement: Measurement) -> float:
        eta, power = self.job.eta_knob, self.job.max_power or 0.0
        return eta * measurement.joules + (1 - eta) * power * measurement.seconds


def _body(metric: float, epoch: int, measurement: Measurement) -> dict[str, object]:
    return {
        "time": measurement.seconds,
        "energy": measurement.joules,
        "metric": metric,
        "current_epoch": epoch,
        "energy_source": measurement.source,
    }
