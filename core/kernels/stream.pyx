"""Random streams of jobs: PCG64 states between their JSON text and the arrays that kernels draw from.

The text is the JSON of NumPy's ``bit_generator.state``, as the reference keeps it in
``Job.mab_random_generator_state``; an array row is (state high, state low, increment high, increment low,
has_uint32, uinteger).
"""

import json

import numpy as np

from cpython.unicode cimport PyUnicode_AsUTF8AndSize, PyUnicode_DecodeASCII
from libc.stdint cimport UINT32_MAX, uint64_t
from libc.string cimport memcpy, strlen, strncmp

from core.kernels.stream cimport (
    pcg64_high,
    pcg64_join,
    pcg64_low,
    pcg64_next64,
    pcg64_read_decimal,
    pcg64_word,
    pcg64_write_decimal,
)

WIDTH = 6

cdef const char *BEFORE_STATE = b'{"bit_generator": "PCG64", "state": {"state": '
cdef const char *BEFORE_INCREMENT = b', "inc": '
cdef const char *BEFORE_BUFFERED = b'}, "has_uint32": '
cdef const char *BEFORE_HALF = b', "uinteger": '
cdef const char *END = b'}'


cdef bint read_literal(const char **text, const char *literal) noexcept nogil:
    cdef size_t length = strlen(literal)
    if strncmp(text[0], literal, length) != 0:
        return False
    text[0] += length
    return True


cdef bint read_canonical(const char *text, uint64_t[::1] row) noexcept nogil:
    """Read the very text that ``encode`` and ``json.dumps`` write; False for any other text."""
    cdef pcg64_word state, increment, buffered, half
    if not (
        read_literal(&text, BEFORE_STATE)
        and pcg64_read_decimal(&text, &state)
        and read_literal(&text, BEFORE_INCREMENT)
        and pcg64_read_decimal(&text, &increment)
        and read_literal(&text, BEFORE_BUFFERED)
        and pcg64_read_decimal(&text, &buffered)
        and read_literal(&text, BEFORE_HALF)
        and pcg64_read_decimal(&text, &half)
        and read_literal(&text, END)
        and text[0] == 0
    ):
        return False
    row[0] = pcg64_high(state)
    row[1] = pcg64_low(state)
    row[2] = pcg64_high(increment)
    row[3] = pcg64_low(increment)
    row[4] = pcg64_low(buffered)
    row[5] = pcg64_low(half)
    return (
        row[3] & 1 == 1
        and pcg64_high(buffered) == 0 and row[4] <= 1
        and pcg64_high(half) == 0 and row[5] <= UINT32_MAX
    )


def _read_json(str text):
    """Read the same members from JSON of any spacing and order."""
    try:
        members = json.loads(text)
        words = (members["state"]["state"], members["state"]["inc"],
                 members["has_uint32"], members["uinteger"])
        # By type and not isinstance: JSON's true would pass for 1.
        valid = (members["bit_generator"] == "PCG64" and all(type(word) is int for word in words)
                 and all(0 <= word < 1 << bits for word, bits in zip(words, (128, 128, 1, 32)))
                 and words[1] & 1 == 1)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not the state of a PCG64 stream: {text[:200]!r}") from error
    if not valid:
        raise ValueError(f"not the state of a PCG64 stream: {text[:200]!r}")
    state, increment, buffered, half = words
    low = (1 << 64) - 1
    return state >> 64, state & low, increment >> 64, increment & low, buffered, half


def decode(texts):
    """Read the states of n streams.

    Args:
        texts: n JSON texts of ``bit_generator.state``.

    Returns:
        uint64 array (n, 6).

    Raises:
        ValueError: A text is not the state of a PCG64 stream.
    """
    texts = list(texts)  # as long as it says, and nobody else's to change
    states = np.empty((len(texts), WIDTH), dtype=np.uint64)
    cdef uint64_t[:, ::1] rows = states
    cdef Py_ssize_t i, length
    cdef const char *characters
    for i, text in enumerate(texts):
        characters = PyUnicode_AsUTF8AndSize(text, &length)
        if <Py_ssize_t>strlen(characters) != length or not read_canonical(characters, rows[i]):
            states[i] = _read_json(text)
    return states


cdef inline char *write_literal(char *at, const char *literal) noexcept nogil:
    cdef size_t length = strlen(literal)
    memcpy(at, literal, length)
    return at + length


cdef Py_ssize_t write_canonical(const uint64_t[::1] row, char *text) noexcept nogil:
    cdef char *at = write_literal(text, BEFORE_STATE)
    at += pcg64_write_decimal(pcg64_join(row[0], row[1]), at)
    at = write_literal(at, BEFORE_INCREMENT)
    at += pcg64_write_decimal(pcg64_join(row[2], row[3]), at)
    at = write_literal(at, BEFORE_BUFFERED)
    at += pcg64_write_decimal(pcg64_join(0, row[4]), at)
    at = write_literal(at, BEFORE_HALF)
    at += pcg64_write_decimal(pcg64_join(0, row[5]), at)
    return write_literal(at, END) - text


def encode(const uint64_t[:, ::1] states):
    """Write the states of n streams, uint64 (n, 6), as n JSON texts."""
    _check_states(states)
    cdef char[256] text  # the literals and two words of 39 digits, one of 1 and one of 10
    cdef Py_ssize_t i, length
    texts = []
    for i in range(states.shape[0]):
        length = write_canonical(states[i], text)
        texts.append(PyUnicode_DecodeASCII(text, length, NULL))
    return texts


def step(const uint64_t[:, ::1] states, Py_ssize_t count):
    """Draw ``count`` 64-bit words from each of n streams.

    Args:
        states: uint64 (n, 6).
        count: Words a stream, at least 0.

    Returns:
        The words, uint64 (n, count), and the states behind them, uint64 (n, 6).
    """
    _check_states(states)
    if count < 0:
        raise ValueError("count must be at least 0")
    words_array = np.empty((states.shape[0], count), dtype=np.uint64)
    after_array = np.array(states)
    cdef uint64_t[:, ::1] words = words_array
    cdef uint64_t[:, ::1] after = after_array
    cdef Py_ssize_t i, j
    with nogil:
        for i in range(states.shape[0]):
            for j in range(count):
                words[i, j] = pcg64_next64(&after[i, 0])
    return words_array, after_array


def _check_states(const uint64_t[:, ::1] states):
    if states.shape[1] != WIDTH:
        raise ValueError(f"states must have {WIDTH} columns, not {states.shape[1]}")
