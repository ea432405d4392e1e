"""Recognise digits with Keras, in batches of the size that costs the least.

Run it again and again: `python keras_digits.py http://127.0.0.1:8000`. It needs keras, scikit-learn and one
of Keras's backends, of which it takes PyTorch unless told otherwise.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("KERAS_BACKEND", "torch")

import keras
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import batchbandit
from batchbandit.integrations.keras import TrialCallback
from batchbandit.learning_rate import scaled

JOB = batchbandit.JobSpec(
    job_id="keras-digits",
    batch_sizes=[16, 32, 64, 128],
    default_batch_size=32,
    target_metric=0.95,
    max_epochs=30,
)
LEARNING_RATE = 0.05
"""For batches of the default size."""


def main(url: str) -> None:
    """Train once, and print what came of it."""
    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=0.2, random_state=0)
    images, validation_images, labels, validation_labels = split
    model = keras.Sequential(
        [keras.Input((64,)), keras.layers.Dense(64, activation="relu"), keras.layers.Dense(10)]
    )
    with batchbandit.trial(url, JOB) as trial:
        rate = scaled(LEARNING_RATE, JOB.default_batch_size, trial.batch_size)
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        model.fit(
            images,
            labels,
            validation_data=(validation_images, validation_labels),
            batch_size=trial.batch_size,
            epochs=JOB.max_epochs,
            callbacks=[TrialCallback(trial, "val_accuracy")],
            verbose=0,
        )
    print(f"Batch size {trial.batch_size}, converged: {trial.converged}. {trial.message}")


if __name__ == "__main__":
    main(sys.argv[1])
