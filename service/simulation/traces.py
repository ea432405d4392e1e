"""Workloads from recorded trainings: a table of runs, and for each GPU a table of measured power.

The format is that of the reference's own recordings (ml-energy/zeus, ``examples/research_reproducibility``).
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from service.errors import OpeningError
from service.simulation.workloads import Curve, Goal, Run, Workload

RUNS = "summary_train.csv"
POWER = "summary_power_"
"""How the name of a GPU's table begins."""


class Recording(NamedTuple):
    """A recorded workload; ``untrained`` is its metric before the first recorded level is reached."""

    dataset: str
    network: str
    optimizer: str
    goal: Goal
    default_batch_size: int
    untrained: float


RECORDINGS = (
    Recording("cifar100", "shufflenetv2", "adadelta", Goal(0.6, 100), 1024, 0.0),
    Recording("imagenet", "resnet50", "adadelta", Goal(0.65, 100), 256, 0.0),
    Recording("librispeech", "deepspeech2", "adamw", Goal(40.0, 16, higher_is_better=False), 192, 100.0),
    Recording("movielens-1m", "ncf", "adam", Goal(0.41, 100), 1024, 0.0),
    Recording("sentiment140", "bert_base_uncased", "adamw", Goal(0.84, 10), 128, 0.0),
    Recording("squad", "bert_base_uncased", "adamw", Goal(84.0, 6), 32, 0.0),
)
"""Those whose target is known."""


class Traces(Struct, frozen=True):
    """The workloads of a folder, a GPU after the other, and what was passed over there, in words."""

    workloads: list[Workload]
    passed_over: list[str]


class Row(Struct, frozen=True):
    """What both tables have in common."""

    dataset: str
    network: str
    batch_size: int
    optimizer: str

    @property
    def key(self) -> tuple[str, str, str]:
        """What was trained."""
        return self.dataset, self.network, self.optimizer


class Level(Row, frozen=True):
    """A run first reached a metric at the end of ``target_epoch``; NaN: it never did."""

    learning_rate: float
    run: int
    target_metric: float
    target_epoch: float


class Power(Row, frozen=True):
    """A measurement: the limit set in watts, seconds an epoch, watts drawn on average."""

    power_limit: float
    time_per_epoch: float
    average_power: float


R = TypeVar("R", bound=Row)


def recorded(directory: Path, noise: float = 0.0) -> Traces:
    """Read every recorded workload on every GPU that there is a table of.

    The batch sizes of a workload on a GPU are those in both tables; a default that the GPU cannot hold is
    clipped to the largest it can. Time and power are those at the largest power limit measured for the batch
    size. Should a batch size have been trained at several learning rates, the one that reaches the target in
    the fewest epochs counts, failed runs included: a user would have tuned it. (The published traces hold one
    learning rate a batch size.)

    Args:
        directory: Holds ``summary_train.csv`` and a ``summary_power_GPU.csv`` for each GPU.
        noise: Relative standard deviation given to a training's time and energy, which were measured once.

    Raises:
        OpeningError: A file is missing or malformed, or there is nothing in them.
    """
    levels = rows(directory / RUNS, Level)
    curves = {recording: _curves(recording, levels) for recording in RECORDINGS}
    tables = sorted(directory.glob(f"{POWER}*.csv"))
    workloads: list[Workload] = []
    passed_over = [
        f"{' '.join(key)} in {directory / RUNS}, whose target is not known"
        for key in sorted({level.key for level in levels} - {recording[:3] for recording in RECORDINGS})
    ]
    for table in tables:
        measured = list(_measured(table, rows(table, Power), curves, noise))
        workloads += measured
        missing = {recording.dataset for recording in RECORDINGS if curves[recording]}
        missing -= {workload.name for workload in measured}
        passed_over += [f"{name} in {table}, which has no batch size of it" for name in sorted(missing)]
    if not workloads:
        raise OpeningError(
            f"{directory} has no workload to simulate: it needs a {POWER}GPU.csv, and in it batch sizes that "
            f"{RUNS} has of a dataset among {', '.join(recording.dataset for recording in RECORDINGS)}"
        )
    return Traces(workloads, passed_over)


def gpu_of(table: Path) -> str:
    """Return which GPU a table of power is of."""
    return table.stem.removeprefix(POWER).upper()


def rows(path: Path, kind: type[R]) -> list[R]:
    """Return the rows of a table.

    Raises:
        OpeningError: It cannot be read.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = csv.DictReader(file, restkey="beyond")
            return [_parsed(path, lines.line_num, line, kind) for line in lines]
    except OSError as error:
        raise OpeningError(f"{path} cannot be read ({error.strerror}); name another folder") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise OpeningError(f"{path} is no table of comma-separated values ({error})") from None


def _parsed(path: Path, line: int, row: dict[str, str], kind: type[R]) -> R:
    """Return one row with its numbers as numbers."""
    try:
        return msgspec.convert(row, kind, strict=False)
    except msgspec.ValidationError as error:
        raise OpeningError(f"{path}, line {line}: {error}; correct it") from None


def _measured(
    table: Path, powers: list[Power], curves: dict[Recording, dict[int, tuple[Curve, ...]]], noise: float
) -> Iterator[Workload]:
    """Give every workload as one GPU runs it."""
    for recording in RECORDINGS:
        runs = _runs(curves[recording], (row for row in powers if row.key == recording[:3]))
        if not runs:
            continue
        yield Workload(
            name=recording.dataset,
            gpu=gpu_of(table),
            goal=recording.goal,
            default_batch_size=_clipped(recording.default_batch_size, runs),
            max_power=max(row.power_limit for row in powers),
            noise=noise,
            runs=runs,
        )


def _curves(recording: Recording, levels: Iterable[Level]) -> dict[int, tuple[Curve, ...]]:
    """Return the learning curves of every batch size at its learning rate."""
    runs: dict[int, dict[float, dict[int, list[Level]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for level in levels:
        if level.key == recording[:3]:
            runs[level.batch_size][level.learning_rate][level.run].append(level)
    return {
        batch_size: min(
            (tuple(_curve(recording, run) for run in rate.values()) for rate in rates.values()),
            key=recording.goal.epochs_to_success,
        )
        for batch_size, rates in runs.items()
    }


def _curve(recording: Recording, levels: Iterable[Level]) -> Curve:
    """Return the best level that a run had reached by the end of each epoch."""
    best = max if recording.goal.higher_is_better else min
    reached: dict[float, list[float]] = defaultdict(list)
    for level in levels:
        reached[level.target_epoch].append(level.target_metric)
    metric = recording.untrained
    curve = []
    for epoch in range(1, recording.goal.max_epochs + 1):
        metric = best([metric, *reached[epoch]])
        curve.append(metric)
    return tuple(curve)


def _runs(curves: dict[int, tuple[Curve, ...]], powers: Iterable[Power]) -> dict[int, tuple[Run, ...]]:
    """Join the runs of a workload with what a GPU measured, at the largest power limit of each batch size."""
    strongest: dict[int, Power] = {}
    for row in sorted(powers, key=lambda row: row.power_limit):
        strongest[row.batch_size] = row
    return {
        size: tuple(
            Run(row.time_per_epoch, row.time_per_epoch * row.average_power, curve) for curve in curves[size]
        )
        for size, row in sorted(strongest.items())
        if size in curves
    }


def _clipped(default_batch_size: int, runs: dict[int, tuple[Run, ...]]) -> int:
    """Return the default, or where the GPU does not have it the next smaller batch size that it has."""
    return max((size for size in runs if size <= default_batch_size), default=min(runs))
