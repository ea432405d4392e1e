"""Twin of ``core.kernels.stream``: NumPy's own PCG64 and the json module."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW = (1 << 64) - 1


def generator(row: NDArray[np.uint64]) -> np.random.Generator:
    """Return a NumPy generator that goes on where the stream of a state row stands."""
    state_high, state_low, increment_high, increment_low, has_uint32, uinteger = (int(word) for word in row)
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": "PCG64",
        "state": {"state": state_high << 64 | state_low, "inc": increment_high << 64 | increment_low},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return np.random.Generator(bits)


def row_of(bits: np.random.BitGenerator) -> NDArray[np.uint64]:
    """Return the state row of a NumPy PCG64 bit generator."""
    members: Any = bits.state
    state, increment = members["state"]["state"], members["state"]["inc"]
    words = [state >> 64, state & LOW, increment >> 64, increment & LOW]
    return np.array([*words, members["has_uint32"], members["uinteger"]], dtype=np.uint64)


def decode(texts: Sequence[str]) -> NDArray[np.uint64]:
    """Read the states of n streams from JSON, as uint64 (n, 6)."""
    states = np.empty((len(texts), 6), dtype=np.uint64)
    for i, text in enumerate(texts):
        bits = np.random.PCG64()
        bits.state = json.loads(text)
        states[i] = row_of(bits)
    return states


def encode(states: NDArray[np.uint64]) -> list[str]:
    """Write the states of n streams, uint64 (n, 6), as JSON."""
    return [json.dumps(generator(row).bit_generator.state) for row in states]


def step(states: NDArray[np.uint64], count: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Draw ``count`` 64-bit words from each stream; return them and the states behind them."""
    words = np.empty((len(states), count), dtype=np.uint64)
    after = np.empty_like(states)
    for i, row in enumerate(states):
        bits = generator(row).bit_generator
        words[i] = bits.random_raw(count)
        after[i] = row_of(bits)
    return words, after
