"""Where a walk stands, held against where the walk itself goes."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from core.errors import NoBatchSizeLeft
from core.failures import is_set_aside
from core.pruning import Explore, Survivors, walk
from core.records import Failures, Job, Trial, TrialStatus
from core.standing import Standing, standing

MakeJob = Callable[..., Job]
MakeTrial = Callable[..., Trial]

SIZES = (8, 16, 32, 64, 128)
ASIDE = Failures(thirds=9, reason="OutOfMemoryError")


def survivors_if_all_converge(job: Job, seen: dict[int, list[Trial]], made: MakeTrial) -> tuple[int, ...]:
    """Return what comes through the walk where everything converges from here on, nothing at a dead end."""
    seen = {size: list(trials) for size, trials in seen.items()}
    while True:
        try:
            step = walk(job, SIZES, seen)
        except NoBatchSizeLeft:
            return ()
        if isinstance(step, Survivors):
            return step.batch_sizes
        assert isinstance(step, Explore)
        trial = made(batch_size=step.batch_size, energy=1.0, converged=True)
        seen.setdefault(step.batch_size, []).append(trial)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_what_is_left_is_what_comes_through_the_round_if_all_converges_from_here_on(
    make_job: MakeJob, make_trial: MakeTrial, data: st.DataObject
) -> None:
    default = data.draw(st.sampled_from(SIZES))
    job = make_job(
        default_batch_size=default, num_pruning_rounds=data.draw(st.integers(0, 3)), max_failures=3
    )
    seen: dict[int, list[Trial]] = {}
    while True:
        aside = data.draw(st.sets(st.sampled_from(SIZES), max_size=1)) if seen else set()
        job = replace(job, failures={**job.failures, **dict.fromkeys(aside, ASIDE)})
        found = standing(job, SIZES, seen)
        # A later round may know more, where a batch size was set aside that had come through this one.
        this_round = replace(job, num_pruning_rounds=found.round)
        assert found.left == survivors_if_all_converge(this_round, seen, make_trial)
        try:
            step = walk(job, SIZES, seen)
        except NoBatchSizeLeft:
            assert found.left == ()
            return
        if isinstance(step, Survivors):
            assert found == Standing(job.num_pruning_rounds, step.batch_sizes)
            return
        assert isinstance(step, Explore)
        assert found.round == step.round
        assert step.batch_size in found.left
        seen.setdefault(step.batch_size, []).append(
            make_trial(batch_size=step.batch_size, status=TrialStatus.DISPATCHED)
        )
        assert standing(job, SIZES, seen) == found  # a running exploration may still converge
        energy = data.draw(st.none() | st.integers(1, 5))
        seen[step.batch_size][-1] = make_trial(
            batch_size=step.batch_size, energy=float(energy or 1), converged=energy is not None
        )


@pytest.mark.parametrize(
    ("energies", "expected"),
    [
        ({}, Standing(1, SIZES)),
        ({32: [1.0], 16: [None]}, Standing(1, (32, 64, 128))),
        ({32: [None]}, Standing(1, (64, 128))),
        ({32: [None], 64: [None]}, Standing(1, ())),
        ({32: [2.0], 16: [None], 64: [1.0], 128: [None]}, Standing(2, (32, 64))),
        ({32: [2.0], 16: [None], 64: [1.0, None], 128: [None]}, Standing(2, ())),
    ],
)
def test_a_walk_stands_where_it_has_come_to(
    make_job: MakeJob, make_trial: MakeTrial, energies: dict[int, list[Any]], expected: Standing
) -> None:
    seen = {
        size: [make_trial(batch_size=size, energy=one or 1.0, converged=one is not None) for one in rounds]
        for size, rounds in energies.items()
    }
    assert standing(make_job(default_batch_size=32, num_pruning_rounds=2), SIZES, seen) == expected


def test_what_is_set_aside_bars_the_way_to_what_was_not_tried(make_job: MakeJob) -> None:
    job = make_job(default_batch_size=32, failures={16: ASIDE}, max_failures=3)
    assert is_set_aside(job, 16)
    assert standing(job, SIZES, {}).left == (32, 64, 128)


def test_a_round_that_opens_again_stands_by_its_own_results(make_job: MakeJob, make_trial: MakeTrial) -> None:
    """Without 16, which was its default, the second round begins with 32 and has not tried 8."""
    energies: dict[int, list[float | None]] = {8: [2.0], 16: [1.0, None], 32: [1.0, 1.0, None], 64: [None]}
    seen = {
        size: [make_trial(batch_size=size, energy=one or 1.0, converged=one is not None) for one in rounds]
        for size, rounds in energies.items()
    }
    job = make_job(default_batch_size=8, num_pruning_rounds=3, failures={16: ASIDE}, max_failures=3)
    assert standing(job, SIZES, seen) == Standing(2, (8, 32))
    step = walk(job, SIZES, seen)
    assert isinstance(step, Explore)
    assert (step.round, step.batch_size) == (2, 8)
