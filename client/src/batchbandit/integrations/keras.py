"""Keras 3: a callback that reports to a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from keras.callbacks import Callback

from batchbandit.integrations.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchbandit.trials import Trial


class TrialCallback(Callback):  # type: ignore[misc] # it is not there where types are checked
    """Reports a metric to a trial after each epoch, and stops the training when told.

    Args:
        trial: What the training is one of.
        metric: The metric as ``fit`` logs it, say ``val_accuracy``.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        super().__init__()
        self._trial = trial
        self._monitor = Monitor(trial, metric)

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's
        """Begin to measure."""
        self._monitor.begin(self._trial.ranks.size)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's
        """Report the metric."""
        if self._monitor.is_to_stop(logs or {}):
            self.model.stop_training = True
