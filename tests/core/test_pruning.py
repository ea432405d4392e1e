"""The pruning walk, step by step and against a simulation that knows every outcome beforehand."""

from collections.abc import Callable, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import NoBatchSizeLeft
from core.pruning import Await, Explore, Survivors, stand_in, walk
from core.rationale import Rule
from core.records import Failures, Job, Trial, TrialStatus

MakeJob = Callable[..., Job]
MakeTrial = Callable[..., Trial]

SIZES = (8, 16, 32, 64, 128)


@pytest.fixture(scope="session")
def explored(make_trial: MakeTrial) -> Callable[..., dict[int, list[Trial]]]:
    """Return a maker of histories: a batch size's energies by round, None where it did not converge."""

    def make(energies: Mapping[int, Sequence[float | None]]) -> dict[int, list[Trial]]:
        return {
            size: [
                make_trial(batch_size=size, energy=energy or 1.0, converged=energy is not None)
                for energy in rounds
            ]
            for size, rounds in energies.items()
        }

    return make


Explored = Callable[..., dict[int, list[Trial]]]


@pytest.mark.parametrize(
    ("energies", "batch_size", "rule"),
    [
        ({}, 32, Rule.DEFAULT),
        ({32: [5.0]}, 16, Rule.SMALLER),
        ({32: [5.0], 16: [5.0]}, 8, Rule.SMALLER),
        ({32: [5.0], 16: [5.0], 8: [5.0]}, 64, Rule.LARGER),
        ({32: [5.0], 16: [5.0], 8: [5.0], 64: [5.0]}, 128, Rule.LARGER),
        ({32: [5.0], 16: [None]}, 64, Rule.LARGER),
        ({32: [None]}, 64, Rule.LARGER),
    ],
)
def test_a_round_goes_down_from_the_default_and_then_up_each_way_to_the_first_failure(
    make_job: MakeJob,
    explored: Explored,
    energies: dict[int, list[float | None]],
    batch_size: int,
    rule: Rule,
) -> None:
    step = walk(make_job(default_batch_size=32), SIZES, explored(energies))
    assert step == Explore(batch_size, 1, rule)


@pytest.mark.parametrize(
    ("energies", "batch_size"),
    [
        ({16: [7.0], 32: [6.0], 64: [5.0], 8: [None], 128: [None]}, 64),
        ({16: [5.0], 32: [6.0], 64: [7.0], 8: [None], 128: [None]}, 16),
        ({16: [5.0], 32: [5.0], 64: [5.0], 8: [None], 128: [None]}, 32),  # the default came first
        ({16: [5.0], 32: [6.0], 64: [5.0], 8: [None], 128: [None]}, 16),  # down comes before up
    ],
)
def test_the_next_round_starts_at_the_cheapest_and_at_the_first_in_the_walk_of_equals(
    make_job: MakeJob, explored: Explored, energies: dict[int, list[float | None]], batch_size: int
) -> None:
    step = walk(make_job(default_batch_size=32), SIZES, explored(energies))
    assert step == Explore(batch_size, 2, Rule.DEFAULT)


def test_the_next_round_walks_the_survivors_alone(make_job: MakeJob, explored: Explored) -> None:
    job = make_job(default_batch_size=32)
    first = {16: [7.0], 32: [6.0], 64: [5.0], 8: [None], 128: [None]}
    assert walk(job, SIZES, explored(first | {64: [5.0, 5.0]})) == Explore(32, 2, Rule.SMALLER)
    second = explored(first | {64: [5.0, 5.0], 32: [6.0, None]})
    assert walk(job, SIZES, second) == Survivors((64,))


def test_the_cheapest_is_so_by_energy_and_time(make_job: MakeJob, make_trial: MakeTrial) -> None:
    job = make_job(default_batch_size=32, eta_knob=0.5, max_power=100.0)
    history = {
        16: [make_trial(batch_size=16, time=1.0, energy=50.0)],
        32: [make_trial(batch_size=32, time=2.0, energy=10.0)],
    }
    assert walk(job, (16, 32), history) == Explore(16, 2, Rule.DEFAULT)


def test_a_dispatched_exploration_is_awaited(
    make_job: MakeJob, make_trial: MakeTrial, explored: Explored
) -> None:
    job = make_job(default_batch_size=32)
    history = explored({32: [5.0]}) | {16: [make_trial(batch_size=16)]}
    assert walk(job, SIZES, history) == Await(1)


def test_a_dispatched_exploration_is_awaited_after_the_walk_has_turned_away_from_it(
    make_job: MakeJob, make_trial: MakeTrial, explored: Explored
) -> None:
    job = make_job(default_batch_size=32, failures={32: Failures(9, None)})
    history = explored({32: [5.0]}) | {16: [make_trial(batch_size=16)]}
    assert walk(job, SIZES, history) == Await(1)


def test_who_stands_in_gets_the_batch_size_of_the_cheapest_exploration(
    make_job: MakeJob, explored: Explored
) -> None:
    job = make_job(default_batch_size=32, min_cost_batch_size=32, failures={32: Failures(9, None)})
    assert stand_in(job, SIZES, explored({32: [1.0], 64: [5.0, 9.0], 16: [7.0]})) == 64


def test_an_exploration_that_has_failed_is_not_in_the_history_and_comes_again(
    make_job: MakeJob, explored: Explored
) -> None:
    job = make_job(default_batch_size=32)
    assert walk(job, SIZES, explored({32: [5.0]})) == Explore(16, 1, Rule.SMALLER)
    assert walk(job, SIZES, explored({32: [5.0], 16: []})) == Explore(16, 1, Rule.SMALLER)


def test_without_rounds_all_batch_sizes_survive_ascending(make_job: MakeJob) -> None:
    assert walk(make_job(num_pruning_rounds=0), (128, 8, 64), {}) == Survivors((8, 64, 128))


def test_a_round_without_a_survivor_says_what_to_change(make_job: MakeJob, explored: Explored) -> None:
    job = make_job(default_batch_size=32, target_metric=0.9)
    history = explored({32: [5.0, None], 16: [None], 64: [None]})
    with pytest.raises(NoBatchSizeLeft) as refused:
        walk(job, SIZES, history)
    sentence = str(refused.value)
    assert "No batch size of job(resnet-1) reached its target metric 0.9 in pruning round 2." in sentence
    for change in ("new job_id", "batch_sizes", "target_metric", "max_epochs", "beta_knob"):
        assert change in sentence


# A batch size's cost in each round, None where it does not converge.
Table = dict[int, list[float | None]]

tables = st.integers(0, 4).flatmap(
    lambda rounds: st.dictionaries(
        st.integers(1, 2**31 - 1),
        st.lists(
            st.none() | st.sampled_from([1.0, 2.0, 3.0]) | st.floats(1.0, 1e6),
            min_size=rounds,
            max_size=rounds,
        ),
        min_size=1,
        max_size=7,
    )
)


def prune(table: Table, default: int) -> tuple[list[int], list[int]]:
    """Prune as the paper tells it, outcomes known; return explorations and survivors, if any."""
    explorations: list[int] = []
    left = sorted(table)
    for round_index in range(len(next(iter(table.values())))):
        below = [size for size in reversed(left) if size <= default]
        above = [size for size in left if size > default]
        ranked: list[tuple[float, int, int]] = []
        for sizes in (below, above):
            for size in sizes:
                explorations.append(size)
                cost = table[size][round_index]
                if cost is None:
                    break
                ranked.append((cost, len(ranked), size))
        if not ranked:
            return explorations, []
        default = min(ranked)[2]
        left = sorted(size for _, _, size in ranked)
    return explorations, left


@settings(deadline=None, max_examples=200)
@given(table=tables, data=st.data())
def test_the_walk_makes_the_explorations_of_the_paper_and_leaves_its_survivors(
    make_job: MakeJob, make_trial: MakeTrial, table: Table, data: st.DataObject
) -> None:
    sizes = data.draw(st.permutations(sorted(table)))
    default = data.draw(st.sampled_from(sizes))
    job = make_job(default_batch_size=default, num_pruning_rounds=len(table[default]))
    explorations, survivors = prune(table, default)

    history: dict[int, list[Trial]] = {}
    for size in explorations:
        rounds = history.setdefault(size, [])
        step = walk(job, sizes, history)
        assert isinstance(step, Explore)
        assert (step.batch_size, step.round) == (size, len(rounds) + 1)
        rounds.append(make_trial(batch_size=size, status=TrialStatus.DISPATCHED))
        assert walk(job, sizes, history) == Await(len(rounds))
        cost = table[size][len(rounds) - 1]
        rounds[-1] = make_trial(batch_size=size, energy=cost or 1.0, converged=cost is not None)
    if survivors:
        assert walk(job, sizes, history) == Survivors(tuple(survivors))
    else:
        with pytest.raises(NoBatchSizeLeft):
            walk(job, sizes, history)
