"""Recognise digits with PyTorch, in batches of the size that costs the least.

Run it again and again: `python pytorch_digits.py http://127.0.0.1:8000`. It needs torch and scikit-learn.
"""

from __future__ import annotations

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset, random_split

import batchbandit
from batchbandit.integrations.pytorch import loader
from batchbandit.learning_rate import scaled

JOB = batchbandit.JobSpec(
    job_id="pytorch-digits",
    batch_sizes=[16, 32, 64, 128],
    default_batch_size=32,
    target_metric=0.95,
    max_epochs=30,
)
LEARNING_RATE = 0.02
"""For batches of the default size."""


def main(url: str) -> None:
    """Train once, and print what came of it."""
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images, dtype=torch.float32) / 16, torch.tensor(labels))
    training, validation = random_split(digits, [0.8, 0.2])
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    with batchbandit.trial(url, JOB) as trial:
        batches = loader(training, trial)
        rate = scaled(LEARNING_RATE, JOB.default_batch_size, trial.batch_size)
        optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
        for _ in trial.epochs():
            train(model, batches, optimizer)
            trial.report(accuracy(model, validation))
    print(f"Batch size {trial.batch_size}, converged: {trial.converged}. {trial.message}")


def train(model: nn.Module, batches: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    """Train for an epoch."""
    for images, labels in batches:
        optimizer.zero_grad()
        cross_entropy(model(images), labels).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(model: nn.Module, digits: torch.utils.data.Dataset) -> float:
    """Return the part of the digits that are recognised."""
    images, labels = digits[:]
    return float((model(images).argmax(1) == labels).float().mean())


if __name__ == "__main__":
    main(sys.argv[1])
