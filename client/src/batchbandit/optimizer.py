"""The calls of the reference's client, for scripts written for it."""

from __future__ import annotations

import atexit
import sys
from typing import TYPE_CHECKING, cast

from batchbandit.energy.windows import WindowMeter
from batchbandit.errors import OutOfOrder, TrainFailed
from batchbandit.opening import trial
from batchbandit.ranks import Alone

if TYPE_CHECKING:
    from batchbandit.energy.meters import EnergyMeter
    from batchbandit.energy.windows import Monitor
    from batchbandit.jobs import JobSpec
    from batchbandit.trials import Trial


class BatchSizeOptimizer:
    """One training of a job, with the names and the order of the reference's calls.

    ``get_batch_size`` at the beginning, ``on_train_begin`` before the first epoch, ``on_evaluate`` after each
    epoch, until ``training_finished``. As there, the calls are rank 0's alone, and the trial ends with the
    process. What goes wrong with the service is not raised: the training goes on.

    Args:
        monitor: What measures the energy: an ``EnergyMeter``, the reference's ``ZeusMonitor``; found if None.
        server_url: The service's address, its token as the password if need be.
        job: What recurs.
        rank: This process among those of the training; those other than 0 may only make the object.
    """

    def __init__(
        self, monitor: EnergyMeter | Monitor | None, server_url: str, job: JobSpec, rank: int = 0
    ) -> None:
        self.rank = rank
        self.training_finished = False
        self._opening = trial(server_url, job, meter=_meter(monitor), ranks=Alone())
        self._trial: Trial | None = None

    def get_batch_size(self) -> int:
        """Return the batch size to train with, the same one at every call.

        Raises:
            OutOfOrder: This is not rank 0.
        """
        if self.rank != 0:
            raise OutOfOrder("Only rank 0 asks for a batch size; let it tell the others.")
        if self._trial is None:
            self._trial = self._opening.__enter__()
            atexit.register(self._end)
        return self._trial.batch_size

    def on_train_begin(self) -> None:
        """Begin to measure."""
        self.training_finished = False
        self._begun().begin()

    def on_evaluate(self, metric: float) -> None:
        """Report the metric after an epoch.

        Raises:
            TrainFailed: The training is to stop and has not converged.
        """
        if self.training_finished:
            return
        verdict = self._begun().report(metric)
        self.training_finished = verdict.stop_train
        if verdict.stop_train and not verdict.converged:
            raise TrainFailed(f"{verdict.message}. Train again: the service chooses anew.")

    def _begun(self) -> Trial:
        if self._trial is None:
            raise OutOfOrder("Call get_batch_size first.")
        return self._trial

    def _end(self) -> None:
        error = getattr(sys, "last_value", None)  # what the interpreter has just printed
        self._opening.__exit__(None, error, None)


def _meter(monitor: EnergyMeter | Monitor | None) -> EnergyMeter | None:
    if monitor is None or hasattr(monitor, "read"):
        return cast("EnergyMeter | None", monitor)
    return WindowMeter(monitor)
