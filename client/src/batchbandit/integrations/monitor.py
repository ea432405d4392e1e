"""What the callbacks of all frameworks do: begin a trial, and report one of the framework's metrics to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from batchbandit.errors import OutOfOrder
from batchbandit.log import log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchbandit.trials import Trial


class Monitor:
    """Reports the metric of a name to a trial; a report counts as an epoch."""

    def __init__(self, trial: Trial, metric: str) -> None:
        self._trial = trial
        self._metric = metric
        self._has_begun = False
        self._is_missed = False

    def begin(self, size: int) -> None:
        """Begin to measure, in a training of ``size`` processes; only the first call counts.

        Raises:
            OutOfOrder: The trial was begun with another number of processes, as it is by a script that the
                framework itself starts once more for each GPU.
        """
        expected = self._trial.ranks.size
        if size != expected:
            raise OutOfOrder(
                f"The trial was begun by {expected} processes, and the framework trains in {size}: start the "
                "script with torchrun, one process for each device that the framework uses."
            )
        if not self._has_begun:
            self._has_begun = True
            self._trial.begin()

    def is_to_stop(self, metrics: Mapping[str, Any]) -> bool:
        """Report the metric after an evaluation, and tell whether the training is to stop."""
        if self._trial.stopped:
            return True
        if self._metric not in metrics:
            self._miss(metrics)
            return False
        return self._trial.report(float(metrics[self._metric])).stop_train

    def _miss(self, metrics: Mapping[str, Any]) -> None:
        if self._is_missed:
            return
        self._is_missed = True
        there = ", ".join(sorted(metrics)) or "none"
        log.warning("Nothing is reported: there is no metric %s; those there are: %s.", self._metric, there)
