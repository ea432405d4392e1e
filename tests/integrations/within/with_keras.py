"""The callback of Keras."""

# ruff: noqa: ANN401 - where this is checked, the frameworks have no types

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from batchbandit.integrations.keras import TrialCallback

X = np.arange(32.0).reshape(32, 1) / 32


def trained(trial: Any, metric: str) -> Any:
    """Train a line for up to five epochs; return the history."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.01), "mse")
    callbacks = [TrialCallback(trial, metric)]
    return model.fit(X, X, validation_data=(X, X), epochs=5, verbose=0, callbacks=callbacks)


def test_each_epoch_is_reported_until_the_training_is_to_stop(trial: Any) -> None:
    history = trained(trial, "val_loss").history
    assert trial.metrics == pytest.approx(history["val_loss"])
    assert len(trial.metrics) == 2
    assert trial.begun == 1


def test_a_metric_that_is_not_there_is_told_once_and_the_training_goes_on(
    trial: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(trained(trial, "val_accuracy").history["loss"]) == 5
    assert [record.getMessage() for record in caplog.records if record.name == "batchbandit"] == [
        "Nothing is reported: there is no metric val_accuracy; those there are: loss, val_loss."
    ]
