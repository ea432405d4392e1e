"""Hugging Face Transformers: a callback of ``Trainer`` that reports to a trial, and its batch size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

from batchbandit.errors import InvalidJob
from batchbandit.integrations.monitor import Monitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers import TrainerControl, TrainerState, TrainingArguments

    from batchbandit.trials import Trial


def set_batch_size(arguments: TrainingArguments, trial: Trial) -> None:
    """Let a training take a trial's batch size: that of a step of the optimizer, on all devices together.

    Call it with arguments whose ``gradient_accumulation_steps`` are set.

    Raises:
        InvalidJob: The batch size cannot be shared among GPUs and accumulation steps, or
            ``auto_find_batch_size`` would change it.
    """
    parts = max(1, arguments.n_gpu) * arguments.gradient_accumulation_steps
    if trial.per_device_batch_size % parts:
        raise InvalidJob(
            f"batch_sizes has {trial.batch_size}, which {trial.ranks.size * parts} GPUs and accumulation "
            "steps cannot share evenly: name multiples of their number."
        )
    if arguments.auto_find_batch_size:
        raise InvalidJob("auto_find_batch_size would train with another batch size than the job's.")
    arguments.per_device_train_batch_size = trial.per_device_batch_size // parts


class TrialCallback(TrainerCallback):  # type: ignore[misc] # it is not there where types are checked
    """Reports a metric to a trial after each evaluation in a training, and stops the training when told.

    Each evaluation counts as an epoch: train with ``eval_strategy="epoch"``.

    Args:
        trial: What the training is one of.
        metric: The metric as evaluations name it, say ``eval_accuracy``.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self._monitor = Monitor(trial, metric)
        self._is_training = False

    def on_train_begin(self, args: TrainingArguments, *_: object, **__: object) -> None:
        """Begin to measure.

        Raises:
            ValueError: The model would not be evaluated while it trains.
        """
        if args.eval_strategy == "no":
            raise ValueError('Nothing would be reported: set eval_strategy="epoch".')
        self._monitor.begin(args.world_size)
        self._is_training = True

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002
        state: TrainerState,
        control: TrainerControl,
        metrics: Mapping[str, Any] | None = None,
        **_: object,
    ) -> None:
        """Report the metric."""
        has_trained = self._is_training and state.global_step > 0
        if has_trained and self._monitor.is_to_stop(metrics or {}):
            control.should_training_stop = True

    def on_train_end(self, *_: object, **__: object) -> None:
        """Report no evaluation after this."""
        self._is_training = False
