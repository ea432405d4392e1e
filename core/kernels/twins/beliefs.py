"""Twin of ``core.kernels.beliefs``: Gaussians conditioned in one batch, moments by quadrature."""

import math
from collections.abc import Callable
from enum import IntEnum, auto
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)


class Column(IntEnum):
    """What is known of a batch size; see the kernel's declarations."""

    SUCCESSES = 0
    EPOCHS = auto()
    MEAN_EPOCHS = auto()
    SQUARES_EPOCHS = auto()
    FAILURES = auto()
    FAILED_EPOCHS = auto()
    RUNS = auto()
    RUN_EPOCHS = auto()
    TIME = auto()
    ENERGY = auto()
    MEAN_RATE = auto()
    SQUARES_RATE = auto()
    BOUND = auto()
    STOPS = auto()
    RETRY = auto()
    RUNNING = auto()
    INHERITED_FROM = auto()
    INHERITED_TIME = auto()
    INHERITED_ENERGY = auto()
    INHERITED_EPOCHS = auto()
    INHERITED_DOUBT = auto()


class Whose(IntEnum):
    """Whose past is inherited; see the kernel's declarations."""

    NOBODYS = 0
    ANOTHERS = 1
    OWN = 2


class Trend(NamedTuple):
    """What is believed over octaves from the default before anything is seen, and between jobs."""

    mean: float
    slope: float
    scale: float
    slope_deviation: float
    smooth: float
    octaves: float
    rough: float
    offset: float
    doubt: float


RATE = Trend(0.0, -0.35, 10.0, 0.3, 0.2, 2.0, 0.03, offset=10.0, doubt=0.07)
EPOCHS = Trend(2.3, 0.1, 1.5, 0.2, 0.5, 3.0, 0.1, offset=0.3, doubt=0.1)
EPOCHS_NOISE, RATE_NOISE, NOISE_WEIGHT, LEAST_NOISE = 0.12, 0.02, 4.0, 0.03
DRIFT_LEVEL, DRIFT_SLOPE, DRIFT_ROUGH = 0.15, 0.1, 0.1
SOFTNESS = 0.15
LEAST_RATE = 1e-200
LEAST_MASS = 1e-9
LEAST_VARIANCE = 1e-9
FAR = -30.0
WIDE = 9  # deviations beyond which there is nothing


class Gaussian(NamedTuple):
    """A Gaussian: its mean (m) and its covariance (m, m)."""

    mean: Floats
    spread: Floats


class Seen(NamedTuple):
    """Sums of a Gaussian's elements that were seen (k, m), their values (k) and variances (k)."""

    sums: Floats
    values: Floats
    variances: Floats


class Beliefs(NamedTuple):
    """What is believed of the logarithms of joules of cost an epoch, and of epochs; see the kernel."""

    rate: Gaussian
    epochs: Gaussian
    noise: float
    epochs_noise: float
    evidence: float

    @property
    def mean(self) -> Floats:
        """Mean of the logarithm of what each batch size costs."""
        return self.rate.mean + self.epochs.mean

    @property
    def spread(self) -> Floats:
        """Covariance of the logarithms of what the batch sizes cost."""
        return self.rate.spread + self.epochs.spread


def mass_below(z: float) -> float:
    """Return the mass of a standard Gaussian below z."""
    return 0.5 * math.erfc(-z / math.sqrt(2.0))


def log_mass_below(z: float) -> float:
    """Return the logarithm of that, from its asymptotic series where it is too small for a number."""
    if z > FAR:
        return math.log(mass_below(z))
    terms = 1 - 1 / z**2 + 3 / z**4 - 15 / z**6 + 105 / z**8
    return -z * z / 2 - math.log(-z * math.sqrt(2 * math.pi)) + math.log(terms)


def nodes(low: float, high: float, panels: int) -> tuple[Floats, Floats]:
    """Return nodes and weights of Gauss and Legendre over so many panels."""
    edges = np.linspace(low, high, panels + 1)
    halves = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + halves + halves * NODES).ravel(), (halves * WEIGHTS).ravel()


def peak_of(of: Callable[[float], float], low: float, high: float) -> float:
    """Return where a function with one peak has it."""
    for _ in range(100):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        low, high = (left, high) if of(left) < of(right) else (low, right)
    return low


def above(mean: float, variance: float, bound: float, softness: float) -> tuple[float, float]:
    """Return mean and variance of a Gaussian given that with Gaussian noise added it lies above a bound."""

    def density(x: float) -> float:
        return -((x - mean) ** 2) / (2 * variance) + log_mass_below((x - bound) / softness)

    deviation = math.sqrt(variance)
    peak = peak_of(density, mean, max(mean, bound) + deviation + softness)
    panels = math.ceil(WIDE * math.sqrt(variance + softness**2) / softness)
    x, weights = nodes(peak - WIDE * deviation, peak + WIDE * deviation, panels)
    top = density(peak)
    weights *= [math.exp(density(one) - top) for one in x.tolist()]
    higher = np.average(x, weights=weights)
    return float(higher), max(float(np.average((x - higher) ** 2, weights=weights)), LEAST_VARIANCE)


def improvement(mean: float, deviation: float) -> float:
    """Return how far below zero a Gaussian is expected to lie, where it does, else 0."""
    low, high = mean - 12 * deviation, min(mean + 12 * deviation, 0.0)
    if deviation <= 0 or low >= high:
        return max(-mean, 0.0) if deviation <= 0 else 0.0

    x, weights = nodes(low, high, 24)
    densities = np.exp(-(((x - mean) / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
    return float(-(x * densities) @ weights)


def conditioned(before: Gaussian, seen: Seen) -> Gaussian:
    """Return what is believed after something was seen, in one batch (Rasmussen and Williams, 2.23, 2.24)."""
    if not len(seen.values):
        return before
    cross = before.spread @ seen.sums.T
    gain = np.linalg.solve(seen.sums @ cross + np.diag(seen.variances), cross.T).T
    return Gaussian(
        before.mean + gain @ (seen.values - seen.sums @ before.mean), before.spread - gain @ cross.T
    )


def log_density(before: Gaussian, seen: Seen) -> float:
    """Return the logarithm of the density of what was seen (Rasmussen and Williams, 2.30)."""
    covariance = seen.sums @ before.spread @ seen.sums.T + np.diag(seen.variances)
    missed = seen.values - seen.sums @ before.mean
    _, log_determinant = np.linalg.slogdet(2 * math.pi * covariance)
    return float(-0.5 * (missed @ np.linalg.solve(covariance, missed) + log_determinant))


def prior(trend: Trend, octaves: Floats, level: float, inherited_from: Whose) -> Gaussian:
    """Return what is believed before anything is seen, with the offset from another job as the last."""
    apart = octaves[:, None] - octaves
    spread = (
        trend.scale**2
        + trend.slope_deviation**2 * np.outer(octaves, octaves)
        + trend.smooth**2 * np.exp(-0.5 * (apart / trend.octaves) ** 2)
        + trend.rough**2 * np.eye(len(octaves))
    )
    mean = level + trend.mean + trend.slope * octaves
    if inherited_from is not Whose.ANOTHERS:
        return Gaussian(mean, spread)
    offset = np.diag([*np.zeros(len(octaves)), trend.offset**2])
    return Gaussian(np.append(mean, 0.0), np.pad(spread, (0, 1)) + offset)


def pooled(known: Floats, count: Column, squares: Column, noise: float) -> float:
    """Return the variance of trainings about the means of their batch sizes, pooled with the prior's."""
    rows = known[known[:, count] > 1]
    return float(
        (NOISE_WEIGHT * noise**2 + rows[:, squares].sum()) / (NOISE_WEIGHT + (rows[:, count] - 1).sum())
    )


def rates(times: Floats, energies: Floats, energy_weight: float, time_weight: float) -> Floats:
    """Return logarithms of costs."""
    return np.log(np.maximum(energy_weight * energies + time_weight * times, LEAST_RATE))


def single(m: int, places: NDArray[np.int64]) -> Floats:
    """Return the sums that are single elements."""
    return np.eye(m)[places]


def inherited(before: Gaussian, known: Floats, values: Floats, doubt: float) -> Gaussian:
    """Return what is believed once a past has shown its own, but for the offset from another job."""
    places = np.flatnonzero(known[:, Column.INHERITED_FROM])
    sums = single(len(before.mean), places)
    sums[:, len(known) :] = 1.0
    return conditioned(before, Seen(sums, values[places], doubt**2 + known[places, Column.INHERITED_DOUBT]))


def doubted(before: Gaussian, octaves: Floats) -> Gaussian:
    """Return what is believed once costs have drifted since."""
    drift = (
        DRIFT_LEVEL**2 + DRIFT_SLOPE**2 * np.outer(octaves, octaves) + DRIFT_ROUGH**2 * np.eye(len(octaves))
    )
    return before._replace(spread=before.spread + drift)


def fit(
    known: Floats,
    positions: Floats,
    default: int,
    energy_weight: float,
    time_weight: float,
    inherited_from: Whose,
) -> Beliefs:
    """Return what is believed of what is known; see the kernel for arguments."""
    octaves = positions - positions[default]
    epochs_noise = max(pooled(known, Column.SUCCESSES, Column.SQUARES_EPOCHS, EPOCHS_NOISE), LEAST_NOISE**2)
    rate_noise = pooled(known, Column.RUNS, Column.SQUARES_RATE, RATE_NOISE)
    ran = np.flatnonzero(known[:, Column.RUNS])
    runs = known[ran]
    seen_rates = rates(
        runs[:, Column.TIME] / runs[:, Column.RUN_EPOCHS],
        runs[:, Column.ENERGY] / runs[:, Column.RUN_EPOCHS],
        energy_weight,
        time_weight,
    )
    level = seen_rates[0] - RATE.slope * octaves[ran[0]] if len(ran) else 0.0
    rate = prior(RATE, octaves, level, inherited_from)
    epochs = prior(EPOCHS, octaves, 0.0, inherited_from)
    if inherited_from is not Whose.NOBODYS:
        theirs = rates(
            known[:, Column.INHERITED_TIME], known[:, Column.INHERITED_ENERGY], energy_weight, time_weight
        )
        rate = inherited(rate, known, theirs, RATE.doubt)
        epochs = inherited(epochs, known, known[:, Column.INHERITED_EPOCHS], EPOCHS.doubt)
    if inherited_from is Whose.OWN:
        rate, epochs = doubted(rate, octaves), doubted(epochs, octaves)
    of_rates = Seen(single(len(rate.mean), ran), seen_rates, rate_noise / runs[:, Column.RUNS] + 1e-6)
    first = Seen(*(part[:1] for part in of_rates))
    epochs, evidence = fit_epochs(known, epochs, epochs_noise)
    evidence += log_density(rate, of_rates) - log_density(rate, first)
    noise = epochs_noise + rate_noise
    return Beliefs(conditioned(rate, of_rates), epochs, noise, epochs_noise, evidence)


def fit_epochs(known: Floats, before: Gaussian, noise: float) -> tuple[Gaussian, float]:
    """Return what is believed of epochs, and the logarithm of the density of what was seen of them."""
    m = len(before.mean)
    won = np.flatnonzero(known[:, Column.SUCCESSES])
    wins = known[won]
    values = np.log((wins[:, Column.EPOCHS] + wins[:, Column.FAILED_EPOCHS]) / wins[:, Column.SUCCESSES])
    seen = Seen(single(m, won), values, noise / wins[:, Column.SUCCESSES])
    evidence = log_density(before, seen)
    after = conditioned(before, seen)
    bounds = known[:, Column.BOUND]
    for place in np.flatnonzero((known[:, Column.SUCCESSES] == 0) & (bounds > -np.inf)):
        bound = float(bounds[place])
        # Each bound as the Gaussian that moves what was believed to the same mean and variance.
        mean, variance = float(after.mean[place]), float(after.spread[place, place])
        mass = mass_below((mean - bound) / math.sqrt(variance + SOFTNESS**2))
        evidence += math.log(max(mass, LEAST_MASS))
        higher, narrower = above(mean, variance, bound, SOFTNESS)
        if narrower < 0.9999 * variance:
            precision = 1 / narrower - 1 / variance
            value = (higher / narrower - mean / variance) / precision
            seen = Seen(
                np.vstack([seen.sums, single(m, np.array([place]))]),
                np.append(seen.values, value),
                np.append(seen.variances, 1 / precision),
            )
            after = conditioned(before, seen)
    return after, evidence
