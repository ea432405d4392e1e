"""A program that trains a job again and again with the client, and logs what every training measured."""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import batchbandit
from batchbandit import JobSpec, conversation
from batchbandit.energy.meters import Device, Energy

EPOCHS = 4
EPOCH_SECONDS = 0.1
PATIENCE_SECONDS = 0.4
"""Shorter than a service needs to start, so that trainings have to do without it."""
QUIET_SECONDS = 0.3


class Marked:
    """A meter whose joules tell trainings apart."""

    devices: Sequence[Device] = (Device("GPU-1", "V100", 300.0),)

    def __init__(self, joules_an_epoch: float) -> None:
        self._joules_an_epoch = joules_an_epoch
        self.epochs = 0

    def start(self) -> None:
        """Begin to measure."""
        self.epochs = 0

    def read(self) -> Energy:
        """Return the energy since the start."""
        return Energy(self.epochs * self._joules_an_epoch, "declared")

    def close(self) -> None:
        """Do nothing."""


def train(url: str, job: JobSpec, joules_an_epoch: float) -> dict[str, object]:
    """Train once; return what was measured and what was said."""
    meter = Marked(joules_an_epoch)
    block = batchbandit.trial(
        url, job, meter=meter, clock=lambda: float(meter.epochs), patience_seconds=PATIENCE_SECONDS
    )
    with block as trial:
        for epoch in trial.epochs():
            time.sleep(EPOCH_SECONDS)
            meter.epochs = epoch
            trial.report(epoch / EPOCHS)
    return {
        "batch_size": trial.batch_size,
        "trial_number": trial.trial_number,
        "joules": EPOCHS * joules_an_epoch,
        "converged": trial.converged,
    }


def main(url: str, job_id: str, first: int, least: int, log: Path) -> None:
    """Train so many times at least, until there is a file ``enough``; trainings are told by their joules."""
    conversation.QUIET_SECONDS = QUIET_SECONDS
    job = JobSpec([8, 16, 32], 16, job_id=job_id, target_metric=1.0, beta_knob=None, max_epochs=2 * EPOCHS)
    with log.open("a") as file:
        for number in itertools.count():
            if number >= least and log.with_name("enough").exists():
                break
            print(json.dumps(train(url, job, 100.0 + first + number)), file=file, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
