"""What tests of the simulator play, drawn by hypothesis, and what they compare."""

from itertools import accumulate

import numpy as np
from hypothesis import strategies as st
from msgspec.structs import replace

from service.simulation.contenders import Contender, decider_of
from service.simulation.recurrences import Story, story_of
from service.simulation.scenarios import Scenario, Terms, steady
from service.simulation.trainings import chances
from service.simulation.workloads import Goal, Run, Workload

SIZES = [8, 16, 24, 32, 64]
# Few values, so that costs are equal now and then.
quantities = st.sampled_from([1.0, 1.5, 2.0]) | st.floats(0.1, 100)


@st.composite
def workloads(draw: st.DrawFn, sizes: list[int] | None = None) -> Workload:
    """Draw a workload, some of whose batch sizes never or only sometimes reach the target."""
    goal = Goal(0.5, draw(st.integers(1, 12)), higher_is_better=draw(st.booleans()))
    best = max if goal.higher_is_better else min
    levels = st.lists(st.sampled_from([0.2, 0.4, 0.5, 0.6]), min_size=1, max_size=goal.max_epochs)
    curves = levels.map(lambda seen: tuple(accumulate(seen, best)))
    runs = st.lists(st.builds(Run, quantities, quantities, curves), min_size=1, max_size=3)
    if sizes is None:
        sizes = sorted(draw(st.sets(st.sampled_from(SIZES), min_size=1)))
    return Workload(
        name="any",
        goal=goal,
        default_batch_size=draw(st.sampled_from(sizes)),
        max_power=draw(st.floats(1, 500)),
        noise=draw(st.sampled_from([0.0, 0.1])),
        runs={size: draw(runs) for size in sizes},
    )


terms = st.builds(
    Terms,
    eta_knob=st.sampled_from([0.0, 0.5, 1.0]) | st.floats(0, 1),
    beta_knob=st.none() | st.floats(0.5, 4),
    num_pruning_rounds=st.integers(0, 3),
    window_size=st.integers(-1, 4),
    mab_num_explorations=st.integers(0, 3),
    mab_prior_mean=st.floats(-1e3, 1e3),
    mab_prior_precision=st.sampled_from([1e-6, 1.0]),
)


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    """Draw a workload that may become another one."""
    before = draw(workloads())
    scenario = steady(before, draw(st.integers(0, 40)), 1, draw(terms))
    if draw(st.booleans()):
        return scenario
    after = replace(
        draw(workloads(before.batch_sizes)),
        goal=before.goal,
        max_power=before.max_power,
        default_batch_size=before.default_batch_size,
    )
    cut = {
        size: tuple(replace(run, curve=run.curve[: before.goal.max_epochs]) for run in runs)
        for size, runs in after.runs.items()
    }
    return replace(scenario, after=replace(after, runs=cut), change=draw(st.integers(0, 40)))


def in_python(contender: Contender, scenario: Scenario, seed: int) -> Story:
    """Play a job without the kernels."""
    [row] = chances(scenario.before, [seed])
    return story_of(decider_of(contender, scenario, seed), scenario, row)


def same(told: Story, other: Story) -> bool:
    """Tell whether two stories are equal to the last bit."""
    return told.is_stuck == other.is_stuck and told.trainings.tobytes() == other.trainings.tobytes()


@st.composite
def wide_scenarios(draw: st.DrawFn) -> Scenario:
    """Draw a workload of 1 to 64 batch sizes, made up by chance, whose costs may move."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    step = draw(st.sampled_from([1, 8, 100]))
    sizes = [step * number for number in range(1, draw(st.integers(1, 64)) + 1)]
    goal = Goal(0.5, draw(st.integers(2, 40)), higher_is_better=draw(st.booleans()))
    before = Workload(
        name="wide",
        goal=goal,
        default_batch_size=int(rng.choice(sizes)),
        max_power=300.0,
        noise=draw(st.sampled_from([0.0, 0.02, 0.3])),
        runs=grown(goal, sizes, rng),
    )
    recurrences = draw(st.integers(0, 100))
    scenario = steady(before, recurrences, 1, draw(terms))
    if draw(st.booleans()):
        return scenario
    after = replace(before, runs=grown(goal, sizes, rng))
    return replace(scenario, after=after, change=draw(st.integers(0, recurrences)))


def grown(goal: Goal, sizes: list[int], rng: np.random.Generator) -> dict[int, list[Run]]:
    """Return runs whose metrics grow by chance; a tenth of them are ended early."""
    sign = 1 if goal.higher_is_better else -1
    runs: dict[int, list[Run]] = {}
    for size in sizes:
        time, power, speed = rng.lognormal(3, 1), rng.uniform(50, 300), rng.uniform(0, 4)
        runs[size] = []
        for _ in range(int(rng.integers(1, 4))):
            steps = rng.exponential(speed / goal.max_epochs, goal.max_epochs)
            length = int(rng.integers(1, goal.max_epochs + 1)) if rng.random() < 0.1 else goal.max_epochs
            curve = (0.5 + sign * (steps.cumsum() - 0.5))[:length]
            runs[size].append(Run(float(time), float(time * power), tuple(curve.tolist())))
    return runs
