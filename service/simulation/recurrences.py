"""A job that recurs, several trainings at a time: whoever decides, what is trained, and what that came to."""

from heapq import heappop, heappush
from itertools import count
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from core.errors import NoBatchSizeLeft
from core.kernels.recurrences import MOST_TRIES, TRIAL
from core.kernels.twins.stream import generator
from service.simulation.scenarios import Scenario
from service.simulation.trainings import Epoch, drawn, epoch_of
from service.simulation.workloads import Run, Workload


class Dispatched(NamedTuple):
    """A trial that runs."""

    batch_size: int
    trial_number: int


class Decision(NamedTuple):
    """What is decided on a report."""

    stop_train: bool
    converged: bool


class Decider(Protocol):
    """Who decides for a job: core, a service, or a plan made before."""

    def suggest(self) -> Dispatched:
        """Return a new trial, which runs from now on.

        Raises:
            NoBatchSizeLeft: There is none.
        """

    def report(self, trial: Dispatched, epoch: Epoch) -> Decision:
        """Take a report of a trial that runs, and end it where it is to stop."""

    def lose(self, trial: Dispatched) -> None:
        """Let a trial that runs end without a result."""


class Story(NamedTuple):
    """The trainings of a job in the order in which they ended, rows of ``TRIAL``.

    ``is_stuck``: it had no batch size left, or never came to an end.
    """

    trainings: NDArray[np.void]
    is_stuck: bool


class Training(NamedTuple):
    """A training that goes on: for which recurrence, what it does, and the epoch that it does not survive."""

    recurrence: int
    tries: int
    trial: Dispatched
    workload: Workload
    run: Run
    fatal: int | None


def story_of(decider: Decider, scenario: Scenario, chances: NDArray[np.uint64]) -> Story:
    """Let a job recur until it has reached its target so many times; failed trainings are repeated.

    Each of the scenario's places trains for one recurrence after another. Reports come in the order of the
    trainings' own time, so that what one place learns is known to the others from then on.

    Args:
        decider: Whoever decides, for this job alone.
        scenario: What is trained, and how many trainings at a time.
        chances: The streams that trainings are drawn from, uint64 (batch sizes, 6).
    """
    draw = Draws(scenario, chances)
    index = {size: place for place, size in enumerate(scenario.before.batch_sizes)}
    rows: list[tuple[float, ...]] = []
    due: list[tuple[float, int, int, Training]] = []
    order, recurrences = count(), iter(range(scenario.recurrences))

    def begin(now: float, recurrence: int, tries: int) -> None:
        training = draw.training(decider.suggest(), recurrence, tries)
        heappush(due, (now + training.run.epoch_time, next(order), 1, training))

    try:
        for _, recurrence in zip(range(scenario.concurrency), recurrences, strict=False):
            begin(0.0, recurrence, 0)
        while due:
            now, _, number, training = heappop(due)
            epoch, decision = _told(decider, training, number)
            if not decision.stop_train:
                heappush(due, (now + training.run.epoch_time, next(order), number + 1, training))
                continue
            size = index[training.trial.batch_size]
            said = 0 if number == training.fatal else epoch.number
            rows.append(
                (training.recurrence, size, number, epoch.time, epoch.energy, decision.converged, said)
            )
            if decision.converged and (following := next(recurrences, None)) is not None:
                begin(now, following, 0)
            elif not decision.converged and training.tries + 1 < MOST_TRIES:
                begin(now, training.recurrence, training.tries + 1)
            elif not decision.converged:
                return Story(np.array(rows, dtype=TRIAL), is_stuck=True)
    except NoBatchSizeLeft:
        return Story(np.array(rows, dtype=TRIAL), is_stuck=True)
    return Story(np.array(rows, dtype=TRIAL), is_stuck=False)


def _told(decider: Decider, training: Training, number: int) -> tuple[Epoch, Decision]:
    """Tell of an epoch what a training says of it: nothing any more where it has died."""
    epoch = epoch_of(training.workload, training.run, number)
    if number == training.fatal:
        decider.lose(training.trial)
        return epoch, Decision(stop_train=True, converged=False)
    return epoch, decider.report(training.trial, epoch)


class Draws:
    """What a job's trainings are, by its chances."""

    def __init__(self, scenario: Scenario, chances: NDArray[np.uint64]) -> None:
        self._scenario = scenario
        sizes = scenario.before.batch_sizes
        self._chances = {size: generator(row) for size, row in zip(sizes, chances, strict=True)}

    def training(self, trial: Dispatched, recurrence: int, tries: int) -> Training:
        """Draw the training of a trial."""
        workload = self._scenario.workload_at(recurrence)
        rng = self._chances[trial.batch_size]
        run = drawn(workload, trial.batch_size, rng)
        fatal = None
        if workload.failures > 0 and rng.random() < workload.failures:
            fatal = int(rng.integers(workload.length(run))) + 1
        return Training(recurrence, tries, trial, workload, run, fatal)
