"""The faces of the kernels: what does not fit is refused with a sentence, what fits is taken as it is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from core.kernels import odds, posterior, stream, thompson

Arguments = dict[str, Any]
Face = Callable[..., Any]


def fit_arguments() -> Arguments:
    """Return two arms to fit."""
    return {
        "rewards": np.array([-3.0, -1.0, -2.0]),
        "offsets": np.array([0, 2, 3]),
        "prior_means": np.zeros(2),
        "prior_precisions": np.ones(2),
    }


def best_arguments() -> Arguments:
    """Return two jobs whose arms have chances to be the best, of two arms and one."""
    return {"offsets": np.array([0, 2, 3]), "means": np.array([-3.0, -1.0, -2.0]), "precisions": np.ones(3)}


def choose_arguments() -> Arguments:
    """Return two jobs to choose for, of two arms and one."""
    return {
        "offsets": np.array([0, 2, 3]),
        "means": np.zeros(3),
        "precisions": np.ones(3),
        "observations": np.ones(3, dtype=np.int64),
        "explorations": np.ones(2, dtype=np.int64),
        "states": np.ones((2, 6), dtype=np.uint64),
    }


def step_arguments() -> Arguments:
    """Return two streams to step."""
    return {"states": np.ones((2, 6), dtype=np.uint64), "count": 3}


def encode_arguments() -> Arguments:
    """Return two streams to write."""
    return {"states": np.ones((2, 6), dtype=np.uint64)}


FACES: list[tuple[Face, Callable[[], Arguments]]] = [
    (posterior.fit, fit_arguments),
    (posterior.fit_compensated, fit_arguments),
    (odds.best, best_arguments),
    (thompson.choose, choose_arguments),
    (stream.step, step_arguments),
    (stream.encode, encode_arguments),
]
ARRAYS = [
    pytest.param(face, make, name, id=f"{face.__name__}-{name}")
    for face, make in FACES
    for name, value in make().items()
    if isinstance(value, np.ndarray)
]
# Any number of streams is good where nothing else has to be as long, and jobs of any number of arms, or none.
FACES_OF_SEVERAL_ARRAYS = (posterior.fit, posterior.fit_compensated, odds.best, thompson.choose)


def refuse(face: Face, arguments: Arguments) -> None:
    """Hold a face to its refusal."""
    with pytest.raises((ValueError, TypeError)):
        face(**arguments)


@pytest.mark.parametrize(("face", "make"), FACES)
def test_the_arguments_below_are_good_but_for_what_each_test_spoils(
    face: Face, make: Callable[[], Arguments]
) -> None:
    assert len(face(**make())) > 0


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "complex128", "object", ">f8", ">i8", ">u8", "S8"])
def test_another_dtype_is_refused(face: Face, make: Callable[[], Arguments], name: str, dtype: str) -> None:
    arguments = make()
    refuse(face, arguments | {name: arguments[name].astype(dtype)})


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
def test_floats_for_integers_and_integers_for_floats_are_refused(
    face: Face, make: Callable[[], Arguments], name: str
) -> None:
    arguments = make()
    other = np.int64 if arguments[name].dtype == np.float64 else np.float64
    refuse(face, arguments | {name: arguments[name].astype(other)})


@pytest.mark.parametrize(
    ("face", "make", "name"),
    [
        case
        for case in ARRAYS
        if case.values[0] in FACES_OF_SEVERAL_ARRAYS and case.values[::2] != (odds.best, "offsets")
    ],
)
@pytest.mark.parametrize("times", [0, 2])
def test_another_length_is_refused(face: Face, make: Callable[[], Arguments], name: str, times: int) -> None:
    arguments = make()
    refuse(face, arguments | {name: np.repeat(arguments[name], times, axis=0)})


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
def test_another_number_of_dimensions_is_refused(
    face: Face, make: Callable[[], Arguments], name: str
) -> None:
    arguments = make()
    refuse(face, arguments | {name: arguments[name][None]})
    refuse(face, arguments | {name: arguments[name][0]})


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
def test_a_strided_array_is_refused(face: Face, make: Callable[[], Arguments], name: str) -> None:
    arguments = make()
    strided = np.repeat(arguments[name], 2, axis=0)[::2]
    np.testing.assert_array_equal(strided, arguments[name])
    refuse(face, arguments | {name: strided})
    refuse(face, arguments | {name: arguments[name][::-1]})


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
@pytest.mark.parametrize("value", [None, 1.0, [1.0, 2.0], "text"])
def test_what_is_no_array_is_refused(
    face: Face, make: Callable[[], Arguments], name: str, value: object
) -> None:
    refuse(face, make() | {name: value})


@pytest.mark.parametrize(("face", "make", "name"), ARRAYS)
def test_a_read_only_array_is_taken(face: Face, make: Callable[[], Arguments], name: str) -> None:
    arguments = make()
    expected = face(**arguments)
    arguments[name].flags.writeable = False
    for given, wanted in zip(face(**arguments), expected, strict=True):
        np.testing.assert_array_equal(given, wanted)


@pytest.mark.parametrize(("face", "make"), FACES)
def test_the_arguments_are_left_as_they_were(face: Face, make: Callable[[], Arguments]) -> None:
    arguments = make()
    face(**arguments)
    for name, value in make().items():
        np.testing.assert_array_equal(arguments[name], value)


@pytest.mark.parametrize(
    "offsets",
    [
        [],
        [0],
        [0, 2],
        [0, 2, 4],
        [0, 2, 2],
        [1, 2, 3],
        [-1, 2, 3],
        [0, 4, 3],
        [0, -1, 3],
        [0, 2**62, 3],
        [0, -(2**63), 3],
        [0, 2, 2**63 - 1],
    ],
)
@pytest.mark.parametrize(
    ("face", "make"), [pair for pair in FACES if "offsets" in pair[1]()], ids=lambda part: part.__name__
)
def test_offsets_that_leave_the_array_or_fall_are_refused(
    face: Face, make: Callable[[], Arguments], offsets: list[int]
) -> None:
    with pytest.raises(ValueError, match=r"offsets|one element|one row|at least one arm"):
        face(**make() | {"offsets": np.array(offsets, dtype=np.int64)})


@pytest.mark.parametrize(
    ("face", "make"), [(posterior.fit, fit_arguments), (thompson.choose, choose_arguments)]
)
def test_fewer_offsets_than_arms_have_priors_or_jobs_streams_are_refused(
    face: Face, make: Callable[[], Arguments]
) -> None:
    with pytest.raises(ValueError, match=r"one element|one row"):
        face(**make() | {"offsets": np.array([0, 3])})


def test_a_job_without_arms_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one arm"):
        thompson.choose(**choose_arguments() | {"offsets": np.array([0, 0, 3])})


@pytest.mark.parametrize("face", [thompson.choose, stream.step, stream.encode])
@pytest.mark.parametrize("width", [0, 5, 7])
def test_a_state_has_six_words(face: Face, width: int) -> None:
    make = {pair[0]: pair[1] for pair in FACES}[face]
    with pytest.raises(ValueError, match="columns"):
        face(**make() | {"states": np.ones((2, width), dtype=np.uint64)})


def test_a_negative_count_of_words_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        stream.step(np.ones((1, 6), dtype=np.uint64), -1)


def test_no_arms_and_no_jobs_are_no_trouble() -> None:
    nothing, origin = np.empty(0), np.zeros(1, dtype=np.int64)
    no_integers, no_states = np.empty(0, dtype=np.int64), np.empty((0, 6), dtype=np.uint64)
    for fit in (posterior.fit, posterior.fit_compensated):
        assert [column.shape for column in fit(nothing, origin, nothing, nothing)] == [(0,)] * 3
    assert odds.best(origin, nothing, nothing).shape == (0,)
    chosen = thompson.choose(origin, nothing, nothing, no_integers, no_integers, no_states)
    assert [column.shape for column in chosen] == [(0,), (0,), (0, 6)]
    assert [column.shape for column in stream.step(no_states, 2)] == [(0, 2), (0, 6)]
    assert stream.encode(no_states) == []
    assert stream.decode([]).shape == (0, 6)


def test_the_results_own_their_memory_and_have_the_promised_dtypes() -> None:
    chosen = thompson.choose(**choose_arguments())
    assert [column.dtype for column in chosen] == [np.int64, np.float64, np.uint64]
    chances = odds.best(**best_arguments())
    assert chances.dtype == np.float64
    for column in (*chosen, *posterior.fit(**fit_arguments()), chances):
        assert column.flags.c_contiguous
        assert column.flags.writeable
