"""The energy-time cost of a run."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import CostOutOfRange
from core.records import Terms

Quantity = TypeVar("Quantity", float, NDArray[np.float64])

# Joules, seconds or watts: far beyond any training, and squares of it are still numbers.
LARGEST_QUANTITY = 1e100


def cost_of(terms: Terms, time: Quantity, energy: Quantity) -> Quantity:
    """Return ``eta * energy + (1 - eta) * max_power * time`` in joules.

    Args:
        terms: The job's ``eta_knob`` and ``max_power``, in watts.
        time: Seconds, of one run or of many.
        energy: Joules, of as many.

    Source: You et al., "Zeus", NSDI '23, equation 2.
    """
    return terms.eta_knob * energy + (1 - terms.eta_knob) * terms.max_power * time


def reported_cost(terms: Terms, time: float, energy: float) -> float:
    """Return the cost of a report, in joules.

    Raises:
        CostOutOfRange: It is not above 0 (which would make every later run exceed the bound) or it is above
            1e100 joules (beyond which variances overflow).
    """
    cost = cost_of(terms, time, energy)
    if 0 < cost <= LARGEST_QUANTITY:
        return cost
    if cost > 0:
        raise CostOutOfRange(
            f"time {time} s and energy {energy} J make a cost above {LARGEST_QUANTITY:g} J; "
            "check the units: seconds, joules, watts"
        )
    raise CostOutOfRange(
        f"time {time} s and energy {energy} J make a cost of 0 J with eta_knob {terms.eta_knob}; "
        "report the measured energy, or register the job with an eta_knob below 1 so that time counts"
    )
