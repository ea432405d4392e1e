"""Random streams of jobs."""

import json

import numpy as np


def seeded(seed: int) -> str:
    """Return the state of a new stream, equal to that of NumPy's ``default_rng(seed)``, as JSON.

    The seed is all the randomness there is: an ``mab_seed``, or bits from the operating system's entropy.
    """
    return json.dumps(np.random.default_rng(seed).bit_generator.state)
