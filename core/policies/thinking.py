"""What policy ``frugal`` makes of what it knows of a job: the kernel's answers, by batch size."""

import math
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from core.kernels import stream
from core.kernels.frugality import MOST_SIZES, SUSPECTS, Mind
from core.policies.knowledge import (
    MOST_TRIED,
    Course,
    Knowledge,
    Leader,
    Seen,
    Suspect,
    before_drift,
    considered,
    rows_of,
    seen_of,
)
from core.rationale import Weighed, weighed
from core.records import Arm, Job

LARGEST_LOGARITHM = 345.0
"""Of what may be squared and still is a number."""
MOST_NEEDED = MOST_SIZES - MOST_TRIED - SUSPECTS - 1
"""Batch sizes that can be asked for at a time, beside the default and those of suspects."""


class Ending(IntEnum):
    """How a training came to an end, as ``core.kernels.frugality`` has it."""

    CONVERGED = 0
    BEYOND_BOUND = 1
    OUT_OF_EPOCHS = 2
    HOPELESS = 3


class Choice(NamedTuple):
    """A batch size, by the kernel's rule; the joules drawn for each; saving and price; the stream then."""

    batch_size: int
    rule: int
    samples: Mapping[int, float]
    saving: float | None
    price: float | None
    stream: str


class Thinker:
    """What is made of a job and of what is known of it.

    Args:
        job: The job.
        known: What is known of it.
        needed: Batch sizes that have to be considered, however many the job has.
        usable: Those to choose from, where that is asked.
    """

    def __init__(self, job: Job, known: Knowledge, *needed: int, usable: Sequence[int] | None = None) -> None:
        suspected = (suspect.batch_size for suspect in known.suspects)
        self._job, self._known = job, known
        self._usable = known.batch_sizes if usable is None else usable
        self._sizes = considered(known, (job.default_batch_size, *needed, *suspected), self._usable)
        self._index = {size: place for place, size in enumerate(self._sizes)}
        self._rows = rows_of(known, self._sizes)
        self._mind = Mind(
            np.log2(np.array(self._sizes, dtype=np.float64)),
            self._index[job.default_batch_size],
            self._rows,
            np.array(known.watched),
            self._suspects(known.suspects),
            job.eta_knob,
            (1 - job.eta_knob) * job.max_power,
        )

    def _suspects(self, suspects: Sequence[Suspect]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        rows = [
            (
                self._index[suspect.batch_size],
                suspect.epochs,
                suspect.time,
                suspect.energy,
                suspect.ending,
                -math.inf if suspect.bound is None else suspect.bound,
            )
            for suspect in suspects
        ]
        return np.array(rows, dtype=np.float64).reshape(-1, 6)

    @property
    def is_believable(self) -> bool:
        """Whether what is known makes costs, and variances of them."""
        costs = self._mind.costs()
        return bool(np.isfinite(costs).all() and (costs[:, 1] > 0).all())

    def leader(self) -> int | None:
        """Return the batch size that has converged and is believed to cost the least, of those usable."""
        costs = self._mind.costs()[:, 0]
        proven = {size for size, seen in self._known.seen.items() if seen.successes > 0}
        places = [self._index[size] for size in self._usable if size in proven and size in self._index]
        return self._sizes[min(places, key=lambda place: costs[place])] if places else None

    def best(self) -> Leader | None:
        """Return the batch size that has converged and is believed to cost the least, and what it costs."""
        place = self._mind.leader
        return None if place < 0 else Leader(self._sizes[place], self.cost(self._sizes[place]))

    def cost(self, batch_size: int) -> float:
        """Return the joules of cost that reaching the target at a batch size is believed to take."""
        return _joules(self._mind.costs()[self._index[batch_size], 0])

    def choose(self) -> Choice:
        """Choose one of the usable batch sizes for the job's next trial; nothing else can be asked then."""
        allowed = set(self._usable)
        place, rule, saving, price, samples, after = self._mind.choose(
            self._job.last_trial_number + 1,
            self._job.max_epochs,
            np.array([size in allowed for size in self._sizes], dtype=np.uint8),
            stream.decode([self._job.mab_random_generator_state]),
        )
        drawn = zip(self._sizes, samples.tolist(), strict=True)
        return Choice(
            self._sizes[place],
            rule,
            {size: _joules(sample) for size, sample in drawn if not math.isnan(sample)},
            None if math.isnan(saving) else saving,
            None if math.isnan(price) else price,
            stream.encode(after)[0],
        )

    def is_worth_it(
        self, batch_size: int, epoch: int, cost: float, ahead: float
    ) -> tuple[bool, float, float]:
        """Tell whether a training that has not reached its target is to go on; see ``Mind.is_worth_it``."""
        return self._mind.is_worth_it(self._index[batch_size], epoch, cost, ahead)

    def learn(self, batch_size: int, course: Course, time: float, energy: float) -> bool:
        """Learn a result, which took seconds and joules; return whether costs have drifted."""
        has_drifted = self._mind.learn(
            self._index[batch_size],
            max(course.epochs, 1),
            time,
            energy,
            course.ending,
            -math.inf if course.bound is None else course.bound,
            self._job.last_trial_number,
        )
        results = {size: seen.results for size, seen in self._known.seen.items()}
        if has_drifted:
            results = dict.fromkeys(results, 0)
            for suspect in self._known.suspects[-(SUSPECTS - 1) :]:  # the kernel's, beside this result
                results[suspect.batch_size] += 1
        results[batch_size] = results.get(batch_size, 0) + 1
        seen = {
            size: seen_of(self._rows[self._index[size]].tolist(), count) if size in self._index else Seen()
            for size, count in results.items()
            if size in self._index or has_drifted
        }
        self._known = replace(
            self._known,
            seen={**self._known.seen, **seen},
            before=before_drift(self._rows, self._sizes) if has_drifted else self._known.before,
            watched=self._mind.watched,
            suspects=[
                Suspect(
                    self._sizes[place], epochs, time, energy, ending, None if bound == -math.inf else bound
                )
                for place, epochs, time, energy, ending, bound in self._mind.suspects
            ],
            leader=self.best(),
        )
        return has_drifted

    @property
    def known(self) -> Knowledge:
        """What is known."""
        return self._known

    def arms(self) -> list[Arm]:
        """Return the batch sizes that have been tried, as arms: their reward is minus their cost."""
        return [
            Arm(
                job_id=self._job.job_id,
                batch_size=size,
                param_mean=-cost,
                param_precision=_precision(cost * cost * variance),
                reward_precision=_precision(cost * cost * self._mind.noise),
                num_observations=seen.results,
            )
            for size, seen, cost, variance in self._tried()
        ]

    def weighed(self, samples: Mapping[int, float] | None = None) -> tuple[Weighed, ...]:
        """Return the batch sizes that have been tried, as a decision saw them, with what was drawn."""
        arms, drawn = self.arms(), samples or {}
        return weighed(arms, np.array([-drawn.get(arm.batch_size, math.nan) for arm in arms]))

    def _tried(self) -> list[tuple[int, Seen, float, float]]:
        believed = self._mind.costs().tolist()
        return [
            (size, self._known.seen[size], _joules(mean), variance)
            for size, (mean, variance) in zip(self._sizes, believed, strict=True)
            if size in self._known.seen
        ]


def all_arms(job: Job, known: Knowledge) -> list[Arm]:
    """Return all batch sizes that have been tried, as arms, also where they are more than are considered."""
    arms: dict[int, Arm] = {}
    left = list(known.seen)
    while left:
        arms |= {arm.batch_size: arm for arm in Thinker(job, known, *left[:MOST_NEEDED]).arms()}
        left = [size for size in left if size not in arms]
    return [arms[size] for size in sorted(arms)]


def _joules(logarithm: float) -> float:
    """Return what has a logarithm, or the most that is a number."""
    return math.exp(min(logarithm, LARGEST_LOGARITHM))


def _precision(variance: float) -> float:
    """Return the reciprocal of a variance, which may be too small for a number."""
    return 1 / variance if variance > 0 else math.inf
