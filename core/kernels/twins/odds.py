"""Twin of ``core.kernels.odds``: Gauss-Legendre quadrature arm by arm, on panels of half a deviation.

Where deviations differ by up to 1e8 it is as exact as the kernel; beyond that its panels are too narrow to be
told from points.
"""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
EDGES = np.linspace(-9.0, 9.0, 37)


def chance_below(z: Floats) -> Floats:
    """Return the standard normal distribution function."""
    return 0.5 * np.array([math.erfc(-one / math.sqrt(2.0)) for one in z.flat]).reshape(z.shape)


def best_of_gaussians(means: Floats, deviations: Floats, known: float) -> Floats:
    """Return the chance of each arm that it is the best, and above what is known of others."""
    edges = np.unique(np.append(means + np.outer(EDGES, deviations), known))
    edges = edges[np.isfinite(edges) & (edges >= known)]
    halves = np.diff(edges) / 2
    x = (edges[:-1] + halves)[:, None] + halves[:, None] * NODES
    z = (x - means[:, None, None]) / deviations[:, None, None]
    below = chance_below(z)
    chances = np.zeros(len(means))
    for arm in range(len(means)):
        density = np.exp(-(z[arm] ** 2) / 2) / deviations[arm] / math.sqrt(2 * math.pi)
        others = np.delete(below, arm, axis=0).prod(axis=0)
        chances[arm] = halves @ ((density * others) @ WEIGHTS)
    return chances


def best_of_one(means: Floats, precisions: Floats) -> Floats:
    """Return the chance of each arm of a job that it is the best."""
    with np.errstate(divide="ignore", over="ignore"):
        deviations = np.sqrt(1 / precisions)
    is_flat, is_known = np.isinf(deviations), deviations == 0
    is_gaussian = ~is_flat & ~is_known
    chances = np.zeros(len(means))
    if is_flat.all():
        return np.full(len(means), 1 / max(len(means), 1))
    rest = 0.5 ** is_flat.sum()
    chances[is_flat] = (1 - rest) / max(is_flat.sum(), 1)
    # From the arm that is the best at the least, so that small differences keep their digits.
    nearest = means[~is_flat][np.argmax((means - 6 * np.where(is_flat, 0, deviations))[~is_flat])]
    shifted = means - nearest
    known = max(shifted[is_known], default=-np.inf)
    chances[is_gaussian] = rest * best_of_gaussians(shifted[is_gaussian], deviations[is_gaussian], known)
    is_highest = is_known & (shifted == known)
    if is_highest.any():
        below = chance_below((known - shifted[is_gaussian]) / deviations[is_gaussian])
        chances[is_highest] = rest * np.prod(below) / is_highest.sum()
    return chances


def best(offsets: NDArray[np.int64], means: Floats, precisions: Floats) -> Floats:
    """Return each arm's chance to be the best of its job; see the kernel for arguments and result."""
    jobs = [slice(start, end) for start, end in itertools.pairwise(offsets)]
    return np.concatenate([np.empty(0), *(best_of_one(means[job], precisions[job]) for job in jobs)])
