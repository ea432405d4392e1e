"""Recorded trainings in a file of comma-separated values, a row a run.

The columns are found by their names, in any order; others are passed over.

``batch_size``            required
``workload``, ``job_id``  what a run is of; without either all are of one workload
``epochs``                epochs until the target was reached, empty where it never was
``seconds_per_epoch``     with ``joules_per_epoch`` and ``epochs``: what an epoch took
``time``                  with ``energy`` and ``converged``, as ``batchbandit jobs export`` writes them:
                          seconds and joules of the whole run, and whether it reached its target; one that
                          did not goes on as it began, as far as the longest, where ``epochs`` are known: who
                          decided ended it, and another would not have; rows that have neither are passed over
``default_batch_size``, ``max_power`` (watts), ``max_epochs``
                          of the workload, the same in all of its rows; the command's options take their place
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from core.cost import LARGEST_QUANTITY
from service.errors import OpeningError
from service.simulation.workloads import Curve, Goal, Run, Workload

MAX_EPOCHS = 100
"""After which a run has failed that never reached its target, where nothing says otherwise."""
PARTS = 100
"""Reports that a run is divided into of which no epochs are known: costs are judged as often."""

TARGET = 0.5
"""Runs are recorded without their metric: it is 1 where the target is reached, else 0."""

Positive = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Quantity = Annotated[float, Meta(gt=0, le=LARGEST_QUANTITY)]
Energy = Annotated[float, Meta(ge=0, le=LARGEST_QUANTITY)]


class Overrides(Struct, frozen=True):
    """What is said of all workloads in place of what the file says."""

    default_batch_size: int | None = None
    max_power: float | None = None
    max_epochs: int | None = None


class Row(Struct, frozen=True):
    """A row of the file."""

    batch_size: Positive
    workload: str | None = None
    job_id: str | None = None
    epochs: Positive | None = None
    seconds_per_epoch: Quantity | None = None
    joules_per_epoch: Energy | None = None
    time: Quantity | None = None
    energy: Energy | None = None
    converged: bool | None = None
    default_batch_size: Positive | None = None
    max_power: Quantity | None = None
    max_epochs: Positive | None = None

    @property
    def name(self) -> str:
        """What it is a run of."""
        return self.workload or self.job_id or "all runs"

    def run(self, max_epochs: int, longest: int) -> Run | None:
        """Return what was run, None where the row does not say.

        Args:
            max_epochs: After which a run has failed of which only epochs are known.
            longest: Epochs to which one goes on that was ended before.
        """
        if self.seconds_per_epoch is not None and self.joules_per_epoch is not None:
            converged = self.epochs is not None and self.epochs <= max_epochs
            epochs = self.epochs if converged and self.epochs is not None else max_epochs
            return Run(self.seconds_per_epoch, self.joules_per_epoch, _curve(epochs, converged))
        if self.time is None or self.energy is None or self.converged is None:
            return None
        parts = self.epochs or PARTS
        went_on = parts if self.converged or self.epochs is None else longest
        return Run(self.time / parts, self.energy / parts, _curve(went_on, self.converged))


def _curve(epochs: int, converged: bool) -> Curve:  # noqa: FBT001  (what the row says)
    return (*(0.0 for _ in range(epochs - 1)), float(converged))


def read(file: Path, overrides: Overrides) -> list[Workload]:
    """Return the workloads of a file, in its order.

    Raises:
        OpeningError: It cannot be read, or does not say enough.
    """
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in _rows(file):
        rows[row.name].append(row)
    if not rows:
        raise OpeningError(f"{file} has no runs; write a row a run under a row of names: batch_size, ...")
    return [_workload(file, name, of_one, overrides) for name, of_one in rows.items()]


def _rows(file: Path) -> Iterator[Row]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            lines = csv.DictReader(opened)
            for line in lines:
                said = {name: value for name, value in line.items() if name and value}
                try:
                    yield msgspec.convert(said, Row, strict=False)
                except msgspec.ValidationError as error:
                    raise OpeningError(f"{file}, line {lines.line_num}: {error}; correct it") from error
    except OSError as error:
        raise OpeningError(f"{file} cannot be read ({error.strerror}); name another file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise OpeningError(f"{file} is no table of comma-separated values ({error})") from error


def _workload(file: Path, name: str, rows: Sequence[Row], overrides: Overrides) -> Workload:
    def said(column: str) -> Any:  # noqa: ANN401  (of the column's kind)
        """Return what is said of the workload, None where nothing is."""
        values = {getattr(row, column) for row in rows} - {None}
        override = getattr(overrides, column)
        if override is None and len(values) > 1:
            raise OpeningError(f"{file}: {name} has several {column}: {', '.join(map(str, sorted(values)))}")
        return next(iter(values), None) if override is None else override

    max_epochs = said("max_epochs") or MAX_EPOCHS
    longest = max(row.epochs or 0 for row in rows)
    runs: dict[int, list[Run]] = defaultdict(list)
    for row in rows:
        run = row.run(max_epochs, longest)
        if run is not None:
            runs[row.batch_size].append(run)
    if not runs:
        raise OpeningError(
            f"{file} does not say what runs of {name} took: seconds_per_epoch and joules_per_epoch with "
            "epochs, or time and energy with converged"
        )
    default, power = said("default_batch_size"), said("max_power")
    if default is None:
        raise OpeningError(f"{file} has no default_batch_size of {name}; name it with --default")
    if default not in runs:
        raise OpeningError(f"{file} has no run of {name} at its default batch size {default}; record one")
    if power is None:
        raise OpeningError(f"{file} has no max_power of {name}; name it in watts with --max-power")
    return Workload(
        name=name,
        goal=Goal(TARGET, max(len(run.curve) for of_size in runs.values() for run in of_size)),
        default_batch_size=default,
        max_power=power,
        runs=dict(sorted(runs.items())),
    )
