"""PyTorch Lightning: a callback that reports to a trial, for ``lightning`` and ``pytorch_lightning``."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from batchbandit.integrations.monitor import Monitor

if TYPE_CHECKING:
    from batchbandit.trials import Trial

NAMES = ("lightning.pytorch", "pytorch_lightning")


def _callback_classes() -> tuple[Any, ...]:
    """Return what callbacks are to be, for each Lightning that is imported, else for one that is there."""
    imported = [sys.modules[name] for name in NAMES if name in sys.modules]
    if not imported:
        try:
            imported = [importlib.import_module(NAMES[0])]
        except ImportError:
            imported = [importlib.import_module(NAMES[1])]
    return tuple(module.Callback for module in imported)


class TrialCallback(*_callback_classes()):  # type: ignore[misc] # known when it runs
    """Reports a metric to a trial after each validation, and stops the training when told.

    Each validation counts as an epoch: leave ``val_check_interval`` at 1.0.

    Args:
        trial: What the training is one of.
        monitor: The metric, as the model logs it in validation, say ``val_accuracy``.
    """

    def __init__(self, trial: Trial, monitor: str) -> None:
        super().__init__()
        self._monitor = Monitor(trial, monitor)
        self._metric = monitor

    def on_train_start(self, trainer: Any, pl_module: object) -> None:  # noqa: ANN401, ARG002 - Lightning's
        """Begin to measure."""
        self._monitor.begin(trainer.world_size)

    def on_validation_end(self, trainer: Any, pl_module: object) -> None:  # noqa: ANN401, ARG002 - Lightning's
        """Report the metric.

        Raises:
            ValueError: In the check before the training, the model does not log the metric.
        """
        metrics = trainer.callback_metrics
        if trainer.sanity_checking and self._metric not in metrics:
            there = ", ".join(sorted(metrics)) or "nothing"
            raise ValueError(f"The model does not log {self._metric} in validation; it logs {there}.")
        if trainer.state.fn == "fit" and not trainer.sanity_checking and self._monitor.is_to_stop(metrics):
            trainer.should_stop = True
