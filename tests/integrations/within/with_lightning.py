"""The callback of Lightning."""

# ruff: noqa: ANN401 - where this is checked, the frameworks have no types

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from batchbandit.errors import OutOfOrder
from batchbandit.integrations.lightning import TrialCallback

BATCHES = DataLoader(TensorDataset(torch.arange(8.0).reshape(8, 1)), 4)


def trained(trial: Any, name: str = "lightning.pytorch", metric: str = "count", **options: Any) -> Any:
    """Train a model that logs how often it was validated; return its trainer."""
    package = importlib.import_module(name)

    class Model(package.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(1, 1)
            self.validations = 0

        def training_step(self, batch: Any) -> Any:
            return self.layer(batch[0]).square().mean()

        def validation_step(self, _: Any) -> None:
            self.log("count", float(self.validations))

        def on_validation_epoch_end(self) -> None:
            self.validations += 1

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), 0.01)

    trainer = package.Trainer(
        max_epochs=5,
        accelerator="cpu",
        callbacks=[TrialCallback(trial, metric)],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **options,
    )
    trainer.fit(Model(), BATCHES, BATCHES)
    return trainer


def test_each_validation_but_the_check_before_the_training_is_reported(trial: Any) -> None:
    trainer = trained(trial)
    assert trial.metrics == [1.0, 2.0]
    assert trainer.current_epoch == 2
    assert trial.begun == 1


def test_validating_apart_from_a_training_is_not_reported(endless_trial: Any) -> None:
    trainer = trained(endless_trial)
    trainer.validate(trainer.lightning_module, BATCHES, verbose=False)
    assert endless_trial.metrics == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_metric_that_is_not_logged_is_told_before_the_training(trial: Any) -> None:
    with pytest.raises(ValueError, match="does not log accuracy in validation; it logs count"):
        trained(trial, metric="accuracy")
    assert trial.begun == 0


def test_without_that_check_it_is_told_once_and_the_training_goes_on(
    trial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert trained(trial, metric="accuracy", num_sanity_val_steps=0).current_epoch == 5
    assert trial.metrics == []
    said = [record.getMessage() for record in caplog.records if record.name == "batchbandit"]
    assert said == ["Nothing is reported: there is no metric accuracy; those there are: count."]


def test_processes_that_lightning_starts_itself_are_refused(trial: Any) -> None:
    trial.ranks = type("Ranks", (), {"rank": 0, "size": 2})()
    with pytest.raises(OutOfOrder, match="begun by 2 processes, and the framework trains in 1: start the"):
        trained(trial)


def test_the_package_of_the_other_name_takes_the_callback_too() -> None:
    code = """
import sys
import pytorch_lightning
from batchbandit.integrations.lightning import TrialCallback
assert issubclass(TrialCallback, pytorch_lightning.Callback)
assert "lightning" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_both_packages_may_be_imported() -> None:
    code = """
import lightning.pytorch, pytorch_lightning
from batchbandit.integrations.lightning import TrialCallback
assert issubclass(TrialCallback, pytorch_lightning.Callback)
assert issubclass(TrialCallback, lightning.pytorch.Callback)
callback = TrialCallback(None, "count")
pytorch_lightning.Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
lightning.pytorch.Trainer(callbacks=[callback], logger=False, enable_checkpointing=False)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
