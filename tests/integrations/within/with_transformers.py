"""The callback of Transformers, and the batch size of its arguments."""

# ruff: noqa: ANN401 - where this is checked, the frameworks have no types

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers import Trainer, TrainingArguments

from batchbandit.errors import InvalidJob, OutOfOrder
from batchbandit.integrations.transformers import TrialCallback, set_batch_size

if TYPE_CHECKING:
    from pathlib import Path

DATA = [{"x": torch.tensor([float(x)]), "labels": torch.tensor([0.0])} for x in range(48)]


class Model(torch.nn.Module):  # type: ignore[misc]
    """A line, which remembers how large its batches were."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)
        self.batch_sizes: list[int] = []

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the loss and the outputs."""
        if self.training:
            self.batch_sizes.append(len(x))
        outputs = self.layer(x)
        return {"loss": (outputs - labels).square().mean(), "logits": outputs}


def arguments(folder: Path, **options: Any) -> TrainingArguments:
    """Return arguments of a training on the CPU."""
    members = {"eval_strategy": "epoch", "num_train_epochs": 5, "report_to": "none", "use_cpu": True}
    return TrainingArguments(str(folder), save_strategy="no", disable_tqdm=True, **{**members, **options})


def a_trainer(trial: Any, taken: TrainingArguments, metric: str = "eval_count") -> Trainer:
    """Return what trains a line and counts its evaluations."""
    evaluations = iter(range(100))
    return Trainer(
        Model(),
        taken,
        train_dataset=DATA,
        eval_dataset=DATA[:8],
        compute_metrics=lambda _: {"count": next(evaluations)},
        callbacks=[TrialCallback(trial, metric)],
    )


def test_each_evaluation_of_a_training_is_reported_until_it_is_to_stop(trial: Any, tmp_path: Path) -> None:
    trainer = a_trainer(trial, arguments(tmp_path))
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    assert trial.metrics == [1, 2]
    assert trainer.state.epoch == 2
    assert trial.begun == 1


def test_an_evaluation_at_the_start_is_none_after_an_epoch(endless_trial: Any, tmp_path: Path) -> None:
    trainer = a_trainer(endless_trial, arguments(tmp_path, eval_on_start=True))
    trainer.train()
    trainer.evaluate()
    assert endless_trial.metrics == [1, 2, 3, 4, 5]


def test_a_metric_that_is_not_there_is_told_once_and_the_training_goes_on(
    trial: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trainer = a_trainer(trial, arguments(tmp_path), "eval_accuracy")
    trainer.train()
    assert trainer.state.epoch == 5
    assert [record.getMessage()[:59] for record in caplog.records if record.name == "batchbandit"] == [
        "Nothing is reported: there is no metric eval_accuracy; thos"
    ]


def test_a_training_without_evaluations_is_refused_before_it_begins(trial: Any, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='set eval_strategy="epoch"'):
        a_trainer(trial, arguments(tmp_path, eval_strategy="no")).train()


def test_another_number_of_processes_is_refused(trial: Any, tmp_path: Path) -> None:
    trial.ranks = type("Ranks", (), {"rank": 0, "size": 2})()
    with pytest.raises(OutOfOrder, match="start the script with torchrun"):
        a_trainer(trial, arguments(tmp_path)).train()


@pytest.mark.parametrize(("steps", "size"), [(1, 24), (3, 8)])
def test_a_step_of_the_optimizer_takes_the_batch_size(
    endless_trial: Any, tmp_path: Path, steps: int, size: int
) -> None:
    taken = arguments(tmp_path, gradient_accumulation_steps=steps, num_train_epochs=1)
    set_batch_size(taken, endless_trial)
    trainer = a_trainer(endless_trial, taken)
    trainer.train()
    assert trainer.model.batch_sizes == [size] * (48 // size)
    assert trainer.state.global_step == 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"gradient_accumulation_steps": 5}, "batch_sizes has 24, which 5 GPUs and accumulation steps"),
        ({"auto_find_batch_size": True}, "another batch size"),
    ],
)
def test_what_would_train_with_another_batch_size_is_refused(
    trial: Any, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidJob, match=sentence):
        set_batch_size(arguments(tmp_path, **options), trial)
