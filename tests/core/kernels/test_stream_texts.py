"""What is not the state of a PCG64 stream is refused, however close it looks."""

import json

import numpy as np
import pytest

from core.kernels import stream

STATE = (
    '{"bit_generator": "PCG64", "state": {"state": 35399562948360463058890781895381311971, '
    '"inc": 87136372517582989555478159403783844777}, "has_uint32": 0, "uinteger": 0}'
)

REPLACEMENTS = {
    "another generator": ('"PCG64"', '"PCG64DXSM"'),
    "a generator that is a number": ('"PCG64"', "64"),
    "no generator": ('"bit_generator": "PCG64", ', ""),
    "an even increment": ("783844777}", "783844778}"),
    "an increment of 0": ("87136372517582989555478159403783844777", "0"),
    "a state of 2^128": ("35399562948360463058890781895381311971", str(2**128)),
    "a state of 10^38 tens": ("35399562948360463058890781895381311971", str(10**39)),
    "a state of 5,000 digits": ("35399562948360463058890781895381311971", "9" * 5_000),
    "an increment of 2^128 + 1": ("87136372517582989555478159403783844777", str(2**128 + 1)),
    "a negative state": ('"state": 3539', '"state": -3539'),
    "a leading zero": ('"state": 3539', '"state": 03539'),
    "a leading plus": ('"state": 3539', '"state": +3539'),
    "a hexadecimal state": ("35399562948360463058890781895381311971", "0x1f"),
    "a state that is a fraction": ("35399562948360463058890781895381311971", "1.0"),
    "a state with an exponent": ("35399562948360463058890781895381311971", "1e10"),
    "a state that is NaN": ("35399562948360463058890781895381311971", "NaN"),
    "a state that is true": ("35399562948360463058890781895381311971", "true"),
    "a state that is a string": ("35399562948360463058890781895381311971", '"1"'),
    "a state that is null": ("35399562948360463058890781895381311971", "null"),
    "an increment that is true": ("87136372517582989555478159403783844777", "true"),
    "an increment that is a fraction": ("87136372517582989555478159403783844777", "1.0"),
    "a buffer flag of 2": ('"has_uint32": 0', '"has_uint32": 2'),
    "a negative buffer flag": ('"has_uint32": 0', '"has_uint32": -1'),
    "a huge buffer flag": ('"has_uint32": 0', f'"has_uint32": {2**64}'),
    "a buffer flag that is false": ('"has_uint32": 0', '"has_uint32": false'),
    "a buffer flag that is a fraction": ('"has_uint32": 0', '"has_uint32": 0.0'),
    "a half word of 2^32": ('"uinteger": 0', f'"uinteger": {2**32}'),
    "a half word of 2^64": ('"uinteger": 0', f'"uinteger": {2**64}'),
    "a negative half word": ('"uinteger": 0', '"uinteger": -1'),
    "a half word that is a fraction": ('"uinteger": 0', '"uinteger": 0.5'),
    "a half word that is false": ('"uinteger": 0', '"uinteger": false'),
    "no half word": (', "uinteger": 0', ""),
    "no increment": (', "inc": 87136372517582989555478159403783844777', ""),
    "an array of words": ('"state": {"state"', '"state": [{"state"'),
    "trailing garbage": ("0}", "0}x"),
    "a second state": ("0}", "0}{}"),
    "a trailing comma": ('"uinteger": 0', '"uinteger": 0,'),
    "a trailing NUL": ("0}", "0}\0"),
    "a NUL inside": ('"state": 3539', '"state": 3539\0'),
    "digits of another script": ("3539", "\u0663\u0665\u0663\u0669"),
    "a byte order mark": ('{"bit_generator"', '\ufeff{"bit_generator"'),
    "a lone surrogate": ('"PCG64"', '"PCG64\ud800"'),
    "an accent": ('"PCG64"', '"PCG64\u00e9"'),
}


def refuse(text: str) -> None:
    """Hold ``decode`` to its refusal, alone and among good texts."""
    with pytest.raises(ValueError, match=r"state of a PCG64 stream|surrogates"):
        stream.decode([text])
    with pytest.raises(ValueError, match=r"state of a PCG64 stream|surrogates"):
        stream.decode([STATE, text, STATE])


def test_the_text_that_the_tests_spoil_is_good() -> None:
    row = stream.decode([STATE])
    assert stream.encode(row) == [STATE]


@pytest.mark.parametrize("flaw", REPLACEMENTS)
def test_a_flaw_is_refused(flaw: str) -> None:
    found, replacement = REPLACEMENTS[flaw]
    assert found in STATE
    refuse(STATE.replace(found, replacement, 1))


@pytest.mark.parametrize("length", range(len(STATE)))
def test_a_truncated_text_is_refused(length: int) -> None:
    refuse(STATE[:length])


@pytest.mark.parametrize("text", ["[" * 100_000, '{"state":' * 100_000, "[" * 100_000 + "]" * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("text", ["null", "1", '"PCG64"', "[]", "{}", '{"state": 1}', '{"state": {}}'])
def test_other_json_is_refused(text: str) -> None:
    refuse(text)


@pytest.mark.parametrize("value", [None, 1, b"{}", STATE.encode(), json.loads(STATE)])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        stream.decode([value])  # type: ignore[list-item]


def test_the_sentence_shows_the_beginning_of_the_text_only() -> None:
    with pytest.raises(ValueError, match="stream") as refusal:
        stream.decode(["x" * 10_000_000])
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("state", [0, 9, 10, 2**64 - 1, 2**64, 10**19 - 1, 10**19, 10**38, 2**128 - 1])
def test_words_are_read_and_written_at_the_edges_of_their_digits(state: int) -> None:
    text = STATE.replace("35399562948360463058890781895381311971", str(state))
    row = stream.decode([text])
    assert (int(row[0, 0]) << 64) + int(row[0, 1]) == state
    assert stream.encode(row) == [text]


def test_a_list_of_many_texts_is_read_in_its_order() -> None:
    rows = np.arange(6_000, dtype=np.uint64).reshape(1_000, 6)
    rows[:, 3] |= np.uint64(1)
    rows[:, 4] %= np.uint64(2)
    np.testing.assert_array_equal(stream.decode(stream.encode(rows)), rows)
