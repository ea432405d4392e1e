"""Recorded trainings as ``batchbandit simulate`` reads them: a row a run.

``python -m benchmarks.runs FOLDER > runs.csv`` reads the traces as the other benchmarks do.
"""

import csv
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import click

from service.errors import OpeningError
from service.simulation.traces import recorded
from service.simulation.workloads import Workload

COLUMNS = (
    "workload",
    "default_batch_size",
    "max_power",
    "max_epochs",
    "batch_size",
    "epochs",
    "seconds_per_epoch",
    "joules_per_epoch",
)


def rows(workload: Workload) -> Iterator[tuple[object, ...]]:
    """Go through the runs of a workload."""
    goal = workload.goal
    of_all = (workload.title, workload.default_batch_size, workload.max_power, goal.max_epochs)
    for batch_size, runs in workload.runs.items():
        for run in runs:
            yield *of_all, batch_size, goal.epochs(run.curve), run.epoch_time, run.epoch_energy


def write(workloads: Iterable[Workload], file: IO[str]) -> None:
    """Write the runs of workloads."""
    lines = csv.writer(file, lineterminator="\n")
    lines.writerow(COLUMNS)
    for workload in workloads:
        lines.writerows(rows(workload))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Print the runs recorded in FOLDER."""
    try:
        write(recorded(folder).workloads, sys.stdout)
    except OpeningError as error:
        raise click.ClickException(str(error)) from None


if __name__ == "__main__":
    main()
