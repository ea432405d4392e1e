"""Random streams of jobs start where NumPy's would."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.kernels import stream
from core.streams import seeded

seeds = st.one_of(st.integers(0, 1000), st.integers(0, 2**63 - 1), st.integers(0, 2**128 - 1))


@settings(deadline=None)
@given(seeds)
def test_a_seeded_stream_has_the_state_of_default_rng(seed: int) -> None:
    assert json.loads(seeded(seed)) == np.random.default_rng(seed).bit_generator.state


@settings(deadline=None)
@given(st.lists(seeds, min_size=1, max_size=5))
def test_the_kernel_draws_from_seeded_streams_what_default_rng_draws(seeds: list[int]) -> None:
    words, _ = stream.step(stream.decode([seeded(seed) for seed in seeds]), 3)
    drawn = [np.random.default_rng(seed).bit_generator.random_raw(3) for seed in seeds]
    assert words.tolist() == np.array(drawn).tolist()


def test_a_state_fits_its_column() -> None:
    assert len(seeded(2**128 - 1)) < 10_000
