"""Twin of ``core.kernels.frugality``: each decision as its formula has it, draws by NumPy's generator."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from core.kernels.twins.beliefs import (
    SOFTNESS,
    Beliefs,
    Column,
    Floats,
    Gaussian,
    Seen,
    Whose,
    above,
    conditioned,
    fit,
    improvement,
    mass_below,
)
from core.kernels.twins.results import CONVERGED, Result, add, unbounded
from core.kernels.twins.stream import generator, row_of

DEFAULT, SOUGHT, PROBED, SAMPLED = range(4)

HORIZON, LEAST_PRICE, SAMPLE_WIDTH, REACH = 30.0, 0.4, 0.4, 0.5
LEAST_AHEAD, MOST_RUNNING, BESIDE, CROWDED = 2.0, 4, 8, 1000.0
WATCHED, SLACK, ALARM, FARTHEST, MOST_SUSPECTS = 4, 1.0, 6.0, 4.0, 16
TRUSTED, MOST_TRUST, TRUSTED_SIZES = 0.99, 0.6, 3


class Probe(NamedTuple):
    """What a probe of a batch size is worth, in costs of the leader; what it saves and costs, in joules."""

    size: int
    worth: float
    saving: float
    price: float


class Mind:
    """A job as it is decided on; see the kernel for arguments and results."""

    def __init__(
        self,
        positions: Floats,
        default: int,
        known: Floats,
        watched: Floats,
        suspects: Floats,
        energy_weight: float,
        time_weight: float,
    ) -> None:
        """Believe what is known."""
        self.positions, self.default, self.known = positions, default, known
        self.dearer, self.cheaper = float(watched[0]), float(watched[1])
        self._suspects = [
            Result(int(size), epochs, time, energy, int(ending), bound)
            for size, epochs, time, energy, ending, bound in suspects.tolist()
        ]
        self.energy_weight, self.time_weight = energy_weight, time_weight
        self.consider()

    def consider(self) -> None:
        """Make beliefs of what is known."""
        arguments = self.known, self.positions, self.default, self.energy_weight, self.time_weight
        self.cold = self.warm = fit(*arguments, Whose.NOBODYS)
        self.weight = self.warmth = 0.0
        seen = np.count_nonzero(self.known[:, Column.RUNS])
        inherited_from = Whose(int(self.known[:, Column.INHERITED_FROM].max()))
        if inherited_from is Whose.OWN or (inherited_from is Whose.ANOTHERS and seen >= TRUSTED_SIZES):
            self.warm = fit(*arguments, inherited_from)
            self.weight = 1 / (1 + math.exp(-np.clip(self.warm.evidence - self.cold.evidence, -50.0, 50.0)))
            is_trusted = inherited_from is Whose.OWN or self.weight >= TRUSTED
            self.warmth = min(self.weight, MOST_TRUST) if is_trusted else 0.0

    @property
    def believed(self) -> Beliefs:
        """The beliefs that carry more weight."""
        return self.warm if self.warmth > 0.5 else self.cold  # noqa: PLR2004  (more than half)

    def leader_of(self, usable: NDArray[np.uint8]) -> int:
        """Return the cheapest of those that have converged, -1 if there is none."""
        won = np.flatnonzero((self.known[:, Column.SUCCESSES] > 0) & (usable > 0))
        return int(won[np.argmin(self.believed.mean[won])]) if len(won) else -1

    @property
    def leader(self) -> int:
        """See the kernel."""
        return self.leader_of(np.ones(len(self.known), dtype=np.uint8))

    @property
    def noise(self) -> float:
        """See the kernel."""
        return self.cold.noise

    @property
    def watched(self) -> tuple[float, float]:
        """See the kernel."""
        return self.dearer, self.cheaper

    @property
    def suspects(self) -> list[tuple[int, float, float, float, int, float]]:
        """See the kernel."""
        return [Result._make(result) for result in self._suspects]

    def costs(self) -> Floats:
        """See the kernel."""
        n = len(self.known)
        return np.column_stack([self.believed.mean, np.diag(self.believed.spread)])[:n]

    def is_within_reach(self, size: int, low: int, high: int) -> bool:
        """Tell whether a batch size is next to those from low to high, among them, or near."""
        nearest = low if size < low else min(size, high)
        return abs(size - nearest) <= 1 or abs(self.positions[size] - self.positions[nearest]) <= REACH

    def choose(
        self, number: int, max_epochs: float, usable: NDArray[np.uint8], stream: NDArray[np.uint64]
    ) -> tuple[int, int, float, float, Floats, NDArray[np.uint64]]:
        """See the kernel; what is believed is not spent."""
        samples = np.full(len(self.known), np.nan)
        unknown = math.nan, math.nan, samples, stream.copy()
        leader = self.leader_of(usable)
        if leader < 0:
            ran = self.known[self.default, [Column.RUNS, Column.RUNNING]].any()
            if usable[self.default] and not ran:
                return self.default, DEFAULT, *unknown
            return self.sought(max_epochs, usable), SOUGHT, *unknown
        best = max(self.probes(number, usable), key=lambda probe: probe.worth, default=None)
        if best is not None and best.worth > 0:
            return best.size, PROBED, best.saving, best.price, samples, stream.copy()
        believed, draws = expecting(self.believed, self.known), generator(stream[0])
        for size in np.flatnonzero((self.known[:, Column.SUCCESSES] > 0) & (usable > 0)):
            deviation = math.sqrt(believed.spread[size, size])
            samples[size] = draws.normal(believed.mean[size], SAMPLE_WIDTH * deviation)
        after = row_of(draws.bit_generator)[None]
        return int(np.nanargmin(samples)), SAMPLED, math.nan, math.nan, samples, after

    def sought(self, max_epochs: float, usable: NDArray[np.uint8]) -> int:
        """Return what is expected to converge at the lowest cost."""
        limit = math.log(max_epochs)
        tried = np.flatnonzero((self.known[:, Column.RUNS] > 0) | (usable == 0))
        low, high = min([self.default, *tried]), max([self.default, *tried])
        running = self.known[:, Column.RUNNING]
        below, beyond = running[: self.default].any(), running[self.default + 1 :].any()
        costs = {}
        for size in np.flatnonzero(usable).tolist():
            if self.is_within_reach(size, low, high):
                epochs = self.cold.epochs.mean[size]
                chance = mass_below((limit - epochs) / math.sqrt(self.cold.epochs.spread[size, size]))
                is_crowded = below if size < self.default else size > self.default and beyond
                costs[size] = (
                    self.cold.rate.mean[size]
                    + min(epochs, limit)
                    - math.log(max(chance, 1e-12))
                    + (math.log(2) if running[size] else 0.0)
                    + (CROWDED if is_crowded else 0.0)
                )
        return min(costs, key=lambda size: costs[size])

    def probes(self, number: int, usable: NDArray[np.uint8]) -> list[Probe]:
        """Return what may be probed, and what that is worth."""
        leader = self.leader_of(usable)
        tried = np.flatnonzero(self.known[:, Column.RUNS])
        each = math.exp(self.believed.mean[leader])
        running = self.known[:, Column.RUNNING]
        found: list[Probe] = []
        if running[self.known[:, Column.SUCCESSES] == 0].sum() > running.sum() // BESIDE:
            return found
        for size, row in enumerate(self.known):
            may_be = usable[size] and row[Column.SUCCESSES] == 0 and number >= row[Column.RETRY]
            if may_be and self.is_within_reach(size, tried[0], tried[-1]):
                of_cold, of_warm = (
                    weigh(expecting(by, self.known), size, leader, can_be_stopped=row[Column.STOPS] == 0)
                    for by in (self.cold, self.warm)
                )
                saving, price = self.mixed(of_cold, of_warm)
                found.append(Probe(size, HORIZON * saving - price, saving * each, price * each))
        return found

    def mixed(self, of_cold: Sequence[float], of_warm: Sequence[float]) -> list[float]:
        """Return what the cold and the warm beliefs say by their weights."""
        pairs = zip(of_cold, of_warm, strict=True)
        return [(1 - self.warmth) * cold + self.warmth * warm for cold, warm in pairs]

    def worth_of_rest(
        self, by: Beliefs, size: int, epoch: float, cost: float, ahead: float
    ) -> tuple[float, float, float]:
        """Return what it is worth to go on, in costs of the leader, the bound, and the rest in those too."""
        leader = self.leader
        mean, variance = float(by.mean[leader]), float(by.spread[leader, leader])
        bound, softness = math.log(epoch + 0.5), SOFTNESS
        needed = by.epochs.mean[leader] + math.log(epoch / ahead) if ahead >= LEAST_AHEAD else -math.inf
        if needed > bound:
            bound, softness = needed, math.hypot(SOFTNESS, 1 / ahead)
        higher, narrower = above(
            float(by.epochs.mean[size]), float(by.epochs.spread[size, size]), bound, softness
        )
        higher = max(higher, math.log(epoch + 0.5))
        behind = math.log(cost) - math.log(epoch) + higher - mean
        rest = cost * math.exp(-mean) * math.expm1(min(higher + narrower / 2 - math.log(epoch), 10.0))
        narrower += variance
        return (
            1 + HORIZON * improvement(behind, narrower / math.sqrt(narrower + by.noise)) - rest,
            bound,
            rest,
        )

    def weighed_rest(self, size: int, epoch: float, cost: float, ahead: float) -> tuple[float, float, float]:
        """Return what it is worth to go on, in costs of the leader, the bound, and the joules missing."""
        worth, bound, rest = self.mixed(
            self.worth_of_rest(self.cold, size, epoch, cost, ahead),
            self.worth_of_rest(self.warm, size, epoch, cost, ahead),
        )
        return worth, bound, rest * math.exp(self.believed.mean[self.leader])

    def is_worth_it(self, size: int, epoch: float, cost: float, ahead: float) -> tuple[bool, float, float]:
        """See the kernel."""
        worth, bound, rest = self.weighed_rest(size, epoch, cost, ahead)
        return worth >= 0, bound, rest

    def learn(
        self, size: int, epochs: float, time: float, energy: float, ending: int, bound: float, number: int
    ) -> bool:
        """See the kernel."""
        result, noise = Result(size, epochs, time, energy, ending, bound), self.noise
        drifted = self.has_drifted(result)
        if drifted:
            self.forget()
            for suspect in self._suspects:
                add(self.known[suspect.size], unbounded(suspect), number, noise)
            self.dearer = self.cheaper = 0.0
            self._suspects = []
        else:
            add(self.known[size], self.tamed(result), number, noise)
        self.consider()
        return drifted

    def forget(self) -> None:
        """Know what runs, and of all else that it was so in the past."""
        for size, row in enumerate(self.known):
            if row[Column.RUNS] > 0:
                time, energy = row[[Column.TIME, Column.ENERGY]] / row[Column.RUN_EPOCHS]
                epochs, doubt = self.believed.epochs.mean[size], self.believed.epochs.spread[size, size]
                row[Column.INHERITED_FROM :] = Whose.OWN, time, energy, epochs, doubt
            elif row[Column.INHERITED_FROM] != Whose.OWN:
                row[Column.INHERITED_FROM :] = 0
        self.known[:, : Column.RUNNING] = 0
        self.known[:, Column.BOUND] = -np.inf

    def expected(self, size: int) -> tuple[float, float]:
        """Return mean and deviation of the logarithm of the cost of a training that converges."""
        row, by = self.known[size], self.believed
        whole = row[Column.EPOCHS] + row[Column.FAILED_EPOCHS]
        mean = by.mean[size] - math.log(whole / row[Column.EPOCHS])
        return float(mean), math.sqrt(by.noise + by.spread[size, size])

    def logarithm(self, result: Result) -> float:
        """Return the logarithm of what a training cost."""
        return math.log(self.energy_weight * result.energy + self.time_weight * result.time)

    def tamed(self, result: Result) -> Result:
        """Return a result no farther above what was expected than any should be."""
        if result.ending != CONVERGED or self.known[result.size, Column.SUCCESSES] < WATCHED:
            return result
        mean, deviation = self.expected(result.size)
        share = math.exp(min(mean + FARTHEST * deviation - self.logarithm(result), 0.0))
        return result._replace(
            epochs=share * result.epochs, time=share * result.time, energy=share * result.energy
        )

    def has_drifted(self, result: Result) -> bool:
        """Add a result to the sums; return whether it is one too many."""
        row = self.known[result.size]
        if row[Column.SUCCESSES] < WATCHED:
            return False
        if result.ending == CONVERGED:
            mean, deviation = self.expected(result.size)
            missed = float(np.clip((self.logarithm(result) - mean) / deviation, -FARTHEST, FARTHEST))
        else:
            failures = row[Column.FAILURES]
            missed = FARTHEST * max(1 - 3 * (failures + 0.5) / (failures + row[Column.SUCCESSES] + 1), 0.0)
        self.dearer = max(0.0, self.dearer + missed - SLACK)
        self.cheaper = max(0.0, self.cheaper - missed - SLACK)
        is_doubtful = self.dearer > 0 or self.cheaper > 0
        self._suspects = [*self._suspects, result][-MOST_SUSPECTS:] if is_doubtful else []
        return max(self.dearer, self.cheaper) > ALARM


def expecting(by: Beliefs, known: Floats) -> Beliefs:
    """Return beliefs as they will be once what runs is over, if it is what is expected."""
    counts = np.minimum(known[:, Column.RUNNING], MOST_RUNNING).astype(int)
    places = np.repeat(np.arange(len(known)), counts)

    def after(of: Gaussian, variance: float) -> Gaussian:
        sums = np.eye(len(of.mean))[places]
        return conditioned(of, Seen(sums, sums @ of.mean, np.full(len(places), variance)))

    return by._replace(rate=after(by.rate, 1e-4), epochs=after(by.epochs, by.noise))


def weigh(by: Beliefs, size: int, leader: int, *, can_be_stopped: bool) -> tuple[float, float]:
    """Return what a batch size may save a training and what a probe costs, in costs of the leader."""
    difference = np.zeros(len(by.mean))
    difference[size], difference[leader] = 1.0, -1.0
    behind = float(by.mean[size] - by.mean[leader])
    variance = float(difference @ by.spread @ difference)
    saving = improvement(behind, variance / math.sqrt(variance + by.noise))
    price = math.exp(min(behind + variance / 2, 5.0)) - 1
    if can_be_stopped:
        epoch = math.exp(min(by.rate.mean[size] - by.rate.mean[leader], 20.0) - by.epochs.mean[leader])
        price = min(price, max(epoch, LEAST_PRICE))
    return saving, price
