"""Recognise digits with Hugging Face's Trainer, in batches of the size that costs the least.

Run it again and again: `python transformers_digits.py http://127.0.0.1:8000`. It needs transformers,
accelerate and scikit-learn. With several GPUs, start it with torchrun.
"""

from __future__ import annotations

import sys
from tempfile import TemporaryDirectory

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import random_split
from transformers import EvalPrediction, Trainer, TrainingArguments, set_seed

import batchbandit
from batchbandit.integrations.transformers import TrialCallback, set_batch_size
from batchbandit.learning_rate import scaled

JOB = batchbandit.JobSpec(
    job_id="transformers-digits",
    batch_sizes=[16, 32, 64, 128],
    default_batch_size=32,
    target_metric=0.95,
    max_epochs=30,
)
LEARNING_RATE = 2e-3
"""For batches of the default size; Trainer's optimizer is Adam's kind, which wants the square root."""


class Digits(nn.Module):
    """A perceptron of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, pixels: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the loss and the logits."""
        logits = self.layers(pixels)
        return {"loss": cross_entropy(logits, labels), "logits": logits}


def main(url: str) -> None:
    """Train once, and print what came of it."""
    set_seed(0)
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32)
    digits = [{"pixels": image, "labels": label} for image, label in zip(pixels, labels)]
    training, validation = random_split(digits, [0.8, 0.2])
    with TemporaryDirectory() as folder, batchbandit.trial(url, JOB) as trial:
        arguments = TrainingArguments(
            folder,
            num_train_epochs=JOB.max_epochs,
            learning_rate=scaled(LEARNING_RATE, JOB.default_batch_size, trial.batch_size, "square_root"),
            per_device_eval_batch_size=256,
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=not torch.cuda.is_available(),
        )
        set_batch_size(arguments, trial)
        Trainer(
            Digits(),
            arguments,
            train_dataset=training,
            eval_dataset=validation,
            compute_metrics=accuracy,
            callbacks=[TrialCallback(trial, "eval_accuracy")],
        ).train()
    print(f"Batch size {trial.batch_size}, converged: {trial.converged}. {trial.message}")


def accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Return the part of the digits that are recognised."""
    return {"accuracy": float((prediction.predictions.argmax(1) == prediction.label_ids).mean())}


if __name__ == "__main__":
    main(sys.argv[1])
