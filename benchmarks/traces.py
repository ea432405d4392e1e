"""Workloads from recorded trainings: a table of runs, and for each GPU a table of measured power."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
from msgspec import Struct

from benchmarks.workloads import Curve, Goal, Setting, Workload


class TraceError(Exception):
    """The recorded trainings cannot be used; the message says which file and why."""


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
GPUS = ("V100", "A40")


class _Row(Struct, frozen=True):
    """What both tables have in common."""

    dataset: str
    network: str
    batch_size: int
    optimizer: str

    def belongs_to(self, recording: Recording) -> bool:
        """Tell whether the row is about a recorded workload."""
        return (self.dataset, self.network, self.optimizer) == recording[:3]


class _Level(_Row, frozen=True):
    """A run first reached a metric at the end of ``target_epoch``; NaN: it never did."""

    learning_rate: float
    run: int
    target_metric: float
    target_epoch: float


class _Power(_Row, frozen=True):
    """A measurement: the limit set in watts, seconds an epoch, watts drawn on average."""

    power_limit: float
    time_per_epoch: float
    average_power: float


_R = TypeVar("_R", bound=_Row)


def recorded(directory: Path, noise: float = 0.0) -> list[Workload]:
    """Read every recorded workload on every GPU.

    The batch sizes of a workload on a GPU are those in both tables; a default that the GPU cannot hold is
    clipped to the largest it can. Time and power are those at the largest power limit measured for the batch
    size. Should a batch size have been trained at several learning rates, the one that reaches the target in
    the fewest epochs counts, failed runs included: a user would have tuned it. (The published traces hold one
    learning rate a batch size.)

    Args:
        directory: Holds ``summary_train.csv`` and a ``summary_power_GPU.csv`` for each GPU.
        noise: Relative standard deviation given to a training's time and energy, which were measured once.

    Raises:
        TraceError: A file is missing, is malformed or says nothing about a workload.
    """
    path = directory / "summary_train.csv"
    levels = _read(path, _Level)
    curves = {recording: _curves(recording, levels) for recording in RECORDINGS}
    for recording in RECORDINGS:
        if not curves[recording]:
            raise TraceError(f"{path}: nothing about {recording.dataset}")
    return [
        workload
        for gpu in GPUS
        for workload in _measured(gpu, directory / f"summary_power_{gpu.lower()}.csv", curves, noise)
    ]


def _measured(
    gpu: str, path: Path, curves: dict[Recording, dict[int, tuple[Curve, ...]]], noise: float
) -> Iterator[Workload]:
    """Give every workload as one GPU runs it."""
    powers = _read(path, _Power)
    for recording in RECORDINGS:
        settings = _settings(curves[recording], [row for row in powers if row.belongs_to(recording)])
        if not settings:
            raise TraceError(f"{path}: no batch size of {recording.dataset} that was also trained")
        yield Workload(
            name=recording.dataset,
            gpu=gpu,
            goal=recording.goal,
            default_batch_size=_clipped(recording.default_batch_size, settings),
            max_power=max(row.power_limit for row in powers),
            noise=noise,
            settings=settings,
        )


def _read(path: Path, kind: type[_R]) -> list[_R]:
    """Return the rows of a table."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file, restkey="beyond")
            return [_parsed(path, rows.line_num, row, kind) for row in rows]
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise TraceError(f"{path}: not a table of comma-separated values: {error}") from None


def _parsed(path: Path, line: int, row: dict[str, str], kind: type[_R]) -> _R:
    """Return one row with its numbers as numbers."""
    try:
        return msgspec.convert(row, kind, strict=False)
    except msgspec.ValidationError as error:
        raise TraceError(f"{path}, line {line}: {error}") from None


def _curves(recording: Recording, levels: Iterable[_Level]) -> dict[int, tuple[Curve, ...]]:
    """Return the learning curves of every batch size at its learning rate."""
    runs: dict[int, dict[float, dict[int, list[_Level]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(list))
    )
    for level in levels:
        if level.belongs_to(recording):
            runs[level.batch_size][level.learning_rate][level.run].append(level)
    return {
        batch_size: min(
            (tuple(_curve(recording, run) for run in rate.values()) for rate in rates.values()),
            key=recording.goal.epochs_to_success,
        )
        for batch_size, rates in runs.items()
    }


def _curve(recording: Recording, levels: Iterable[_Level]) -> Curve:
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


def _settings(curves: dict[int, tuple[Curve, ...]], powers: Iterable[_Power]) -> dict[int, Setting]:
    """Join the runs of a workload with what a GPU measured, at the largest power limit of each batch size."""
    strongest: dict[int, _Power] = {}
    for row in sorted(powers, key=lambda row: row.power_limit):
        strongest[row.batch_size] = row
    return {
        batch_size: Setting(row.time_per_epoch, row.average_power, curves[batch_size])
        for batch_size, row in sorted(strongest.items())
        if batch_size in curves
    }


def _clipped(default_batch_size: int, settings: dict[int, Setting]) -> int:
    """Return the default, or where the GPU does not have it the next smaller batch size that it has."""
    return max((size for size in settings if size <= default_batch_size), default=min(settings))
