"""The faces of policy frugal's kernels: what does not fit is refused with a sentence."""

from typing import Any

import numpy as np
import pytest

from core.kernels.frugality import MOST_SIZES, SUSPECTS, WIDTH, Mind
from core.kernels.recurrences import Trainings
from core.kernels.recurring_frugal import play

Arguments = dict[str, Any]
BOUND = 12
CONVERGED = 0


def job(n: int = 3) -> Arguments:
    """Return a job of which nothing is known."""
    known = np.zeros((n, WIDTH))
    known[:, BOUND] = -np.inf
    return {
        "positions": np.arange(float(n)),
        "default": 0,
        "known": known,
        "watched": np.zeros(2),
        "suspects": np.array([[0.0, 10.0, 5.0, 1e3, 0.0, -np.inf]]),
        "energy_weight": 1.0,
        "time_weight": 0.0,
    }


def a_choice() -> Arguments:
    """Return what a choice takes."""
    return {
        "number": 1,
        "max_epochs": 100.0,
        "usable": np.ones(3, dtype=np.uint8),
        "stream": np.ones((1, 6), dtype=np.uint64),
    }


def a_play() -> Arguments:
    """Return two jobs of three batch sizes to let recur."""
    ones, is_higher_better = np.ones(3), True
    curves = np.tile(np.linspace(0.1, 1.0, 10), (3, 1))
    trainings = Trainings(
        np.arange(4), ones, 100 * ones, np.full(3, 10), curves, 0.5, is_higher_better, 0.0, 0.5, 200.0
    )
    return {
        "before": trainings,
        "after": trainings,
        "change": 5,
        "chances": np.ones((2, 3, 6), dtype=np.uint64),
        "streams": np.ones((2, 6), dtype=np.uint64),
        "recurrences": 5,
        "positions": np.arange(3.0),
        "inherited": None,
        "default": 0,
        "beta": 2.0,
        "rounds": 2,
    }


def test_the_arguments_below_are_good_but_for_what_each_test_spoils() -> None:
    mind = Mind(**job())
    assert mind.costs().shape == (3, 2)
    assert mind.suspects == [(0, 10.0, 5.0, 1e3, 0, -np.inf)]
    assert mind.choose(**a_choice())[0] == 0
    assert play(**a_play())[0].shape[0] == 2


@pytest.mark.parametrize("n", [1, MOST_SIZES])
def test_as_few_and_as_many_batch_sizes_as_there_may_be_are_taken(n: int) -> None:
    arguments = job(n)
    mind = Mind(**arguments)
    for size in range(n):
        mind.learn(size, 10.0, 5.0, 1e3, CONVERGED, -np.inf, size)
    costs = Mind(**arguments).costs()
    assert np.isfinite(costs).all()
    arguments["known"][:, WIDTH - 5 :] = 1.0  # inherited too
    assert np.isfinite(Mind(**arguments).costs()).all()


@pytest.mark.parametrize("n", [0, MOST_SIZES + 1])
def test_no_batch_size_and_too_many_are_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"1 to {MOST_SIZES} batch sizes"):
        Mind(**job(n))


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"default": -1}, "default"),
        ({"default": 3}, "default"),
        ({"known": np.zeros((2, WIDTH))}, "known"),
        ({"known": np.zeros((4, WIDTH))}, "known"),
        ({"known": np.zeros((3, WIDTH - 1))}, "known"),
        ({"known": np.zeros((3, WIDTH + 1))}, "known"),
        ({"watched": np.zeros(1)}, "watched"),
        ({"watched": np.zeros(3)}, "watched"),
        ({"suspects": np.zeros((SUSPECTS + 1, 6))}, "suspects"),
        ({"suspects": np.zeros((1, 5))}, "suspects"),
        ({"suspects": np.full((1, 6), 3.0)}, "suspects"),
        ({"suspects": np.full((1, 6), -1.0)}, "suspects"),
        ({"suspects": np.full((1, 6), np.nan)}, "suspects"),
    ],
)
def test_what_does_not_fit_is_refused(spoilt: Arguments, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Mind(**job() | spoilt)


@pytest.mark.parametrize("name", ["positions", "known", "watched", "suspects"])
@pytest.mark.parametrize("value", [None, 1.0, [1.0, 2.0], "text"])
def test_what_is_no_array_is_refused(name: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        Mind(**job() | {name: value})


@pytest.mark.parametrize("name", ["positions", "known", "watched", "suspects"])
@pytest.mark.parametrize("dtype", ["float32", "complex128", "object", ">f8"])
def test_another_dtype_is_refused(name: str, dtype: str) -> None:
    arguments = job()
    with pytest.raises(ValueError, match="uffer"):
        Mind(**arguments | {name: arguments[name].astype(dtype)})


@pytest.mark.parametrize("name", ["positions", "known", "watched"])
def test_a_strided_array_and_other_dimensions_are_refused(name: str) -> None:
    arguments = job()
    strided = np.repeat(arguments[name], 2, axis=-1)[..., ::2]
    for spoilt in (strided, arguments[name][None]):
        with pytest.raises((ValueError, TypeError)):
            Mind(**arguments | {name: spoilt})


def test_what_is_known_must_be_writable() -> None:
    arguments = job()
    arguments["known"].flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        Mind(**arguments)
    for name in ("positions", "watched", "suspects"):
        arguments = job()
        arguments[name].flags.writeable = False
        assert Mind(**arguments).leader == -1


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"usable": np.ones(2, dtype=np.uint8)}, "usable"),
        ({"usable": np.ones(4, dtype=np.uint8)}, "usable"),
        ({"usable": np.zeros(3, dtype=np.uint8)}, "usable"),
        ({"usable": np.ones(3)}, "uffer"),
        ({"stream": np.ones((2, 6), dtype=np.uint64)}, "stream"),
        ({"stream": np.ones((0, 6), dtype=np.uint64)}, "stream"),
        ({"stream": np.ones((1, 5), dtype=np.uint64)}, "stream"),
        ({"stream": np.ones((1, 6))}, "uffer"),
    ],
)
def test_a_choice_of_what_does_not_fit_is_refused(spoilt: Arguments, sentence: str) -> None:
    mind = Mind(**job())
    with pytest.raises(ValueError, match=sentence):
        mind.choose(**a_choice() | spoilt)
    mind.learn(0, 10.0, 5.0, 1e3, CONVERGED, -np.inf, 1)
    with pytest.raises(ValueError, match=sentence):
        mind.choose(**a_choice() | spoilt)


def test_no_training_is_weighed_without_a_leader() -> None:
    mind = Mind(**job())
    with pytest.raises(ValueError, match="must have converged"):
        mind.is_worth_it(1, 5.0, 1e3, 2.0)
    mind.learn(0, 10.0, 5.0, 1e3, CONVERGED, -np.inf, 1)
    assert mind.is_worth_it(1, 5.0, 1.0, 2.0)[0]


@pytest.mark.parametrize("size", [-1, 3, 2**62])
def test_a_batch_size_that_is_none_is_refused(size: int) -> None:
    mind = Mind(**job())
    with pytest.raises(ValueError, match="size"):
        mind.learn(size, 10.0, 5.0, 1e3, CONVERGED, -np.inf, 1)
    mind.learn(0, 10.0, 5.0, 1e3, CONVERGED, -np.inf, 1)
    with pytest.raises(ValueError, match="size"):
        mind.is_worth_it(size, 5.0, 1e3, 2.0)


def test_a_choice_leaves_its_arguments_as_they_were() -> None:
    arguments = job()
    mind = Mind(**arguments)
    mind.learn(0, 10.0, 5.0, 1e3, CONVERGED, -np.inf, 1)
    known, choice = arguments["known"].copy(), a_choice()
    choice["usable"][1:] = 0
    for name in ("usable", "stream"):
        choice[name].flags.writeable = False
    *_, after = mind.choose(**choice)
    np.testing.assert_array_equal(arguments["known"], known)
    np.testing.assert_array_equal(choice["stream"], a_choice()["stream"])
    assert (after != choice["stream"]).any()


@pytest.mark.parametrize(
    ("spoilt", "sentence"),
    [
        ({"default": -1}, "default"),
        ({"default": 3}, "default"),
        ({"positions": np.arange(2.0)}, "positions"),
        ({"positions": np.arange(4.0)}, "positions"),
        ({"rounds": 0}, "rounds"),
        ({"beta": 0.0}, "beta"),
        ({"beta": np.nan}, "beta"),
    ],
)
def test_a_play_of_what_does_not_fit_is_refused(spoilt: Arguments, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        play(**a_play() | spoilt)
