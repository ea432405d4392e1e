"""Streams: NumPy's PCG64 between its JSON and the arrays of the kernels."""

import json
import random
from types import ModuleType

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from core.kernels.twins.stream import generator, row_of
from tests.strategies import State, pcg64_states


@given(st.lists(pcg64_states(), max_size=5))
def test_states_survive_decoding_and_encoding(stream: ModuleType, states: list[State]) -> None:
    texts = [json.dumps(state) for state in states]
    rows = stream.decode(texts)
    assert rows.dtype == np.uint64
    assert rows.shape == (len(texts), 6)
    assert stream.encode(rows) == texts


@given(st.integers(0, 2**63 - 1), st.integers(0, 3))
def test_the_text_is_the_json_of_numpys_state(stream: ModuleType, seed: int, half_words: int) -> None:
    draws = np.random.default_rng(seed)
    draws.integers(2**32, size=half_words, dtype=np.uint32)
    text = json.dumps(draws.bit_generator.state)
    (row,) = stream.decode([text])
    np.testing.assert_array_equal(row, row_of(draws.bit_generator))
    assert stream.encode(row[None]) == [text]


@given(
    pcg64_states(),
    st.randoms(use_true_random=False),
    st.sampled_from([None, 0, 3, "\t"]),
    st.sampled_from([(",", ":"), (" , ", " : "), (", ", ": ")]),
    st.sampled_from([{}, {"more": [1.5, None]}]),
)
def test_json_of_any_spacing_and_order_is_read(
    stream: ModuleType,
    state: State,
    order: random.Random,
    indent: int | str | None,
    separators: tuple[str, str],
    more: dict[str, list[float | None]],
) -> None:
    members = [*state.items(), *more.items()]
    order.shuffle(members)
    words = [*state["state"].items()]
    order.shuffle(words)
    shuffled = dict(members) | {"state": dict(words)}
    text = "\n" + json.dumps(shuffled, indent=indent, separators=separators) + " "
    np.testing.assert_array_equal(stream.decode([text]), stream.decode([json.dumps(state)]))


@given(pcg64_states(), st.integers(0, 20))
def test_stepping_draws_numpys_raw_words(stream: ModuleType, state: State, count: int) -> None:
    bits = np.random.PCG64()
    bits.state = state
    before = stream.decode([json.dumps(state)])
    kept = before.copy()
    words, after = stream.step(before, count)
    np.testing.assert_array_equal(words, np.reshape(bits.random_raw(count), (1, count)))
    np.testing.assert_array_equal(after[0], row_of(bits))
    np.testing.assert_array_equal(before, kept)


@given(pcg64_states(), st.integers(0, 9), st.integers(0, 9))
def test_stepping_goes_on_where_it_stopped(stream: ModuleType, state: State, first: int, second: int) -> None:
    start = stream.decode([json.dumps(state)])
    words, end = stream.step(start, first + second)
    head, between = stream.step(start, first)
    tail, after = stream.step(between, second)
    np.testing.assert_array_equal(np.concatenate([head, tail], axis=1), words)
    np.testing.assert_array_equal(after, end)


@given(pcg64_states(), st.integers(1, 5))
def test_an_unused_half_word_is_carried(stream: ModuleType, state: State, half_words: int) -> None:
    bits = np.random.PCG64()
    bits.state = state
    expected = np.random.Generator(bits).integers(2**32, size=half_words + 1, dtype=np.uint32)
    draws = generator(stream.decode([json.dumps(state)])[0])
    head = draws.integers(2**32, size=half_words, dtype=np.uint32)
    (text,) = stream.encode(row_of(draws.bit_generator)[None])
    tail = generator(stream.decode([text])[0]).integers(2**32, size=1, dtype=np.uint32)
    np.testing.assert_array_equal(np.concatenate([head, tail]), expected)
