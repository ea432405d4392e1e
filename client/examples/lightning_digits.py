"""Recognise digits with PyTorch Lightning, in batches of the size that costs the least.

Run it again and again: `python lightning_digits.py http://127.0.0.1:8000`. It needs lightning and
scikit-learn. With several GPUs, start it with torchrun.
"""

from __future__ import annotations

import os
import sys

import lightning as L  # noqa: N812 - as its users write it
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

import batchbandit
from batchbandit.integrations.lightning import TrialCallback
from batchbandit.learning_rate import scaled

JOB = batchbandit.JobSpec(
    job_id="lightning-digits",
    batch_sizes=[16, 32, 64, 128],
    default_batch_size=32,
    target_metric=0.95,
    max_epochs=30,
)


class Digits(L.LightningModule):
    """A perceptron of two layers."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.learning_rate = learning_rate
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return cross_entropy(self.layers(images), labels)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Log the part of a batch that is recognised."""
        images, labels = batch
        hits = self.layers(images).argmax(1) == labels
        self.log("val_accuracy", hits.float().mean(), on_epoch=True, sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.parameters(), self.learning_rate, momentum=0.9)


def main(url: str) -> None:
    """Train once, and print what came of it."""
    L.seed_everything(0)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
    training, validation = random_split(digits, [0.8, 0.2])
    with batchbandit.trial(url, JOB) as trial:
        model = Digits(scaled(0.02, JOB.default_batch_size, trial.batch_size))
        trainer = L.Trainer(
            max_epochs=JOB.max_epochs,
            devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),  # one for each process of torchrun
            callbacks=[TrialCallback(trial, "val_accuracy")],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
        )
        batches = DataLoader(training, trial.per_device_batch_size, shuffle=True)
        trainer.fit(model, batches, DataLoader(validation, 256))
    print(f"Batch size {trial.batch_size}, converged: {trial.converged}. {trial.message}")


if __name__ == "__main__":
    main(sys.argv[1])
