"""An arm's history as running sums, once it is long: its posterior without reading it.

The sums of time, energy and their products give mean and variance of the cost for any eta. Each is kept as an
unevaluated sum of two floats, so that the variance, a small difference of large sums, keeps its digits.
Source: T. J. Dekker, "A floating-point technique for extending the available precision",
Numerische Mathematik 18, 1971.
"""

import math
from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from core.history import History
from core.records import Posterior, Terms

Number = TypeVar("Number", float, NDArray[np.float64])

# Up to this many results an arm is refitted on all of them, as the reference does.
MOST_REFITTED = 256


class Double(Struct, frozen=True, gc=False):
    """A number of about 106 bits: ``high`` is it rounded, ``low`` what that leaves."""

    high: float = 0.0
    low: float = 0.0

    def __add__(self, other: "Double") -> "Double":
        total, error = _two_sum(self.high, other.high)
        low, rest = _two_sum(self.low, other.low)
        total, error = _fast_two_sum(total, error + low)
        return Double(*_fast_two_sum(total, error + rest))

    def __mul__(self, other: "Double") -> "Double":
        product, error = _two_product(self.high, other.high)
        return Double(*_fast_two_sum(product, error + (self.high * other.low + self.low * other.high)))


def _two_sum(a: float, b: float) -> tuple[float, float]:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _fast_two_sum(a: float, b: float) -> tuple[float, float]:
    total = a + b
    return total, b - (total - a)


def _two_product(a: Number, b: Number) -> tuple[Number, Number]:
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _split(a: Number) -> tuple[Number, Number]:
    scaled = 134217729.0 * a  # 2^27 + 1
    high = scaled - (scaled - a)
    return high, a - high


class Sums(Struct, frozen=True):
    """Sums over all results of a batch size: seconds t, joules e, and their products."""

    job_id: str
    batch_size: int
    num_results: int = 0
    t: Double = Double()
    e: Double = Double()
    tt: Double = Double()
    te: Double = Double()
    ee: Double = Double()

    def plus(self, history: History) -> "Sums":
        """Return the sums with more results."""
        t, e, tt, te, ee = self.t, self.e, self.tt, self.te, self.ee
        for _, seconds, joules in history.tolist():
            time, energy = Double(seconds), Double(joules)
            t += time
            e += energy
            tt += time * time
            te += time * energy
            ee += energy * energy
        return Sums(self.job_id, self.batch_size, self.num_results + len(history), t, e, tt, te, ee)


SUMMED = ("t", "e", "tt", "te", "ee")
"""What is summed, by name."""


def deviation(sums: Sums, history: History) -> float:
    """Return how far sums are from those of a history, relative to them; of the five the largest.

    Here the history is summed without any rounding, so that whatever there is is the sums' own.
    """
    t, e = history[:, 1], history[:, 2]
    exact = {
        "t": (t,),
        "e": (e,),
        "tt": _two_product(t, t),
        "te": _two_product(t, e),
        "ee": _two_product(e, e),
    }
    return max(_relative(getattr(sums, name), parts) for name, parts in exact.items())


def _relative(kept: Double, parts: Iterable[NDArray[np.float64]]) -> float:
    terms = [term for part in parts for term in part.tolist()]
    if not (math.isfinite(kept.high) and math.isfinite(kept.low)):
        return math.inf
    rest = abs(math.fsum([*terms, -kept.high, -kept.low]))
    return rest / math.fsum(map(abs, terms)) if rest else 0.0


def posterior_of(terms: Terms, sums: Sums) -> Posterior:
    """Return the posterior of an arm from the sums over its results, at least one.

    Within 1e-12 relative of the exact one while the costs vary by more than 1e-8 of their mean; of that of
    ``core.kernels.posterior.fit``, whose own rounding grows with mean / deviation, by more than 1e-5.
    """
    energy_weight = Double(terms.eta_knob)
    time_weight = Double(1 - terms.eta_knob) * Double(terms.max_power)
    share = Double(1 / sums.num_results)
    share += share * (Double(1.0) + Double(-float(sums.num_results)) * share)  # one Newton step: 106 bits
    mean = (energy_weight * sums.e + time_weight * sums.t) * share
    squares = (
        energy_weight * energy_weight * sums.ee
        + Double(2.0) * energy_weight * time_weight * sums.te
        + time_weight * time_weight * sums.tt
    ) * share
    variance = (squares + Double(-1.0) * mean * mean).high
    reward_precision = 1 / variance if variance > 0 else math.inf
    evidence = sums.num_results * reward_precision
    if evidence == math.inf:
        return Posterior(-mean.high, math.inf, math.inf)
    precision = terms.mab_prior_precision + evidence
    prior_part = terms.mab_prior_precision / precision * terms.mab_prior_mean
    return Posterior(prior_part - evidence / precision * mean.high, precision, reward_precision)
