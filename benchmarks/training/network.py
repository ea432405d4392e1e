"""The training itself: a small network that learns digits, the same for the same seed and batch size."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from batchbandit import scaled
from benchmarks.training.digits import CLASSES, SIDE, drawn
from benchmarks.training.plans import Plan

FOLDER = Path("build/training-data")
TRAINED_SEED, TESTED_SEED = 1, 2
"""Of the images; every recurrence trains with the same."""
HIDDEN = 64
MEAN = 0.3
"""Grey of a pixel on average, of 1."""


class Data(NamedTuple):
    """Images of shape (count, 784), and the digit that each shows, as tensors."""

    pixels: Any
    labels: Any


class Training:
    """One training: every epoch goes through all images in an order of its own.

    Args:
        plan: What is trained.
        batch_size: Images of one step.
        seed: Of the first weights and of the order of images.
    """

    def __init__(self, plan: Plan, batch_size: int, seed: int) -> None:
        torch.set_num_threads(1)  # more would add in another order; the search has a process a core
        torch.use_deterministic_algorithms(mode=True)
        torch.manual_seed(seed)
        self._trained, self._tested = images(plan)
        self._batch_size = batch_size
        self._network = torch.nn.Sequential(
            torch.nn.Linear(SIDE * SIDE, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
        )
        rate = scaled(plan.learning_rate, plan.default_batch_size, batch_size, rule="square_root")
        self._optimizer = torch.optim.Adam(self._network.parameters(), rate)
        self._order = torch.Generator().manual_seed(seed)

    def train(self, after_step: Callable[[int], object] = lambda _: None) -> None:
        """Train for an epoch; ``after_step`` is told the images of each step."""
        for some in torch.randperm(len(self._trained.pixels), generator=self._order).split(self._batch_size):
            self._optimizer.zero_grad()
            said = self._network(self._trained.pixels[some])
            torch.nn.functional.cross_entropy(said, self._trained.labels[some]).backward()
            self._optimizer.step()
            after_step(len(some))

    def accuracy(self) -> float:
        """Return the share of the tested images that are told."""
        with torch.no_grad():
            said = self._network(self._tested.pixels).argmax(1)
        return float((said == self._tested.labels).double().mean())


def learning_curve(plan: Plan, batch_size: int, seed: int) -> Iterator[float]:
    """Train until the target is reached or the epochs are over; give the accuracy after every epoch."""
    training = Training(plan, batch_size, seed)
    for _ in range(plan.max_epochs):
        training.train()
        accuracy = training.accuracy()
        yield accuracy
        if accuracy >= plan.target:
            return


@cache
def images(plan: Plan) -> tuple[Data, Data]:
    """Return what to train and to test with, drawn at the first time and kept in a file."""
    return _kept(plan.trained, TRAINED_SEED), _kept(plan.tested, TESTED_SEED)


def _kept(count: int, seed: int) -> Data:
    file = FOLDER / f"digits-{count}-{seed}.npz"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        with part.open("wb") as out:
            np.savez(out, **drawn(count, seed)._asdict())
        part.replace(file)
    with np.load(file) as kept:
        pixels = torch.from_numpy(kept["pixels"]).float().div_(255).sub_(MEAN)
        return Data(pixels, torch.from_numpy(kept["labels"]))
