"""Twin of ``core.kernels.thompson``: ``Generator.choice`` and ``Generator.normal``, arm by arm."""

import itertools

import numpy as np
from numpy.typing import NDArray

from core.kernels.twins.stream import generator, row_of


def choose(
    offsets: NDArray[np.int64],
    means: NDArray[np.float64],
    precisions: NDArray[np.float64],
    observations: NDArray[np.int64],
    explorations: NDArray[np.int64],
    states: NDArray[np.uint64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.uint64]]:
    """Choose an arm for each job; see the kernel for arguments and result."""
    choices = np.empty(len(explorations), dtype=np.int64)
    samples = np.full(len(means), np.nan)
    after = np.empty_like(states)
    for job, (start, end) in enumerate(itertools.pairwise(offsets)):
        draws = generator(states[job])
        arms = np.arange(end - start)
        unexplored = [
            arm
            for arm in draws.choice(arms, len(arms), replace=False)
            if observations[start + arm] < explorations[job]
        ]
        if unexplored:
            choices[job] = unexplored[0]
        else:
            for arm in range(start, end):
                samples[arm] = draws.normal(means[arm], np.sqrt(np.reciprocal(precisions[arm])))
            choices[job] = np.argmax(samples[start:end])
        after[job] = row_of(draws.bit_generator)
    return choices, samples, after
