"""Measures the kernels, each in the same rounds as something it is to be held against.

Prints a table and a line of JSON: medians over the rounds, and the median of each round's ratio, in which the
machine's moods cancel.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from core.kernels import posterior, stream, thompson
from core.kernels.frugality import WIDTH, Mind
from core.kernels.twins.stream import row_of

Floats = NDArray[np.float64]
Fitted = tuple[Floats, Floats, Floats]

JOBS = 100_000
ARMS = 8
CALLS = 2_000  # of what takes microseconds
MICROSECONDS = "us"
MEGA, GIGA = 1e6, 1e9


class Measure(NamedTuple):
    """What is measured, how much it does, and what runs beside it."""

    name: str
    run: Callable[[], object]
    amount: float
    unit: str
    beside: str
    run_beside: Callable[[], object]
    share: float = 1.0  # how much of the same work runs beside it

    def value(self, seconds: float) -> float:
        """Express a time in the measure's unit: time for one, or amount by time."""
        if self.unit == MICROSECONDS:
            return seconds / self.amount * 1e6
        return self.amount / seconds


class Result(NamedTuple):
    """What the rounds gave."""

    value: float
    beside: float
    ratio: float


class Jobs(NamedTuple):
    """Jobs to decide for, all explored."""

    offsets: NDArray[np.int64]
    means: Floats
    precisions: Floats
    observations: NDArray[np.int64]
    explorations: NDArray[np.int64]
    states: NDArray[np.uint64]


def jobs(count: int) -> Jobs:
    """Return so many jobs of 8 arms, each with a stream of its own."""
    draws = np.random.default_rng(1)
    states = draws.integers(2**64, size=(count, 6), dtype=np.uint64)
    states[:, 3] |= np.uint64(1)
    states[:, 4:] = 0
    states[0] = row_of(np.random.default_rng(7).bit_generator)
    return Jobs(
        np.arange(count + 1) * ARMS,
        draws.normal(-1e6, 1e5, size=count * ARMS),
        draws.uniform(1e-10, 4e-10, size=count * ARMS),
        np.full(count * ARMS, 5),
        np.full(count, 2),
        states,
    )


def repeated(call: Callable[[], object]) -> Callable[[], None]:
    """Return a function that calls so often that a clock can tell."""

    def run() -> None:
        for _ in range(CALLS):
            call()

    return run


def decisions() -> Iterator[Measure]:
    """Measure single decisions, beside NumPy's generator, and many at once, beside its normals alone."""
    one, many = jobs(1), jobs(JOBS)
    generator = np.random.default_rng(7)
    arms, scales = np.arange(ARMS), np.sqrt(1 / one.precisions)
    (text,) = stream.encode(one.states)

    def decide_in_numpy() -> int:
        generator.choice(arms, ARMS, replace=False)
        return int(np.argmax(generator.normal(one.means, scales)))

    def decide_from_text() -> list[str]:
        _, _, after = thompson.choose(*one[:-1], stream.decode([text]))
        return stream.encode(after)

    def decide_from_text_in_numpy() -> str:
        generator.bit_generator.state = json.loads(text)
        decide_in_numpy()
        return json.dumps(generator.bit_generator.state)

    yield Measure(
        "decision, 8 arms",
        repeated(lambda: thompson.choose(*one)),
        CALLS,
        MICROSECONDS,
        "choice, normal",
        repeated(decide_in_numpy),
    )
    yield Measure(
        "decision, text to text",
        repeated(decide_from_text),
        CALLS,
        MICROSECONDS,
        "with json too",
        repeated(decide_from_text_in_numpy),
    )
    yield Measure(
        "100,000 jobs, 8 arms",
        lambda: thompson.choose(*many),
        JOBS * ARMS / MEGA,
        "M arms/s",
        "standard_normal",
        lambda: generator.standard_normal(JOBS * ARMS),
    )
    texts = stream.encode(many.states)
    yield Measure(
        "100,000 texts to texts",
        lambda: stream.encode(stream.decode(texts)),
        JOBS / MEGA,
        "M/s",
        "json",
        lambda: [json.dumps(json.loads(text)) for text in texts[: JOBS // 10]],
        share=0.1,
    )


def frugal_decision(sizes: int) -> Callable[[], object]:
    """Return a decision of policy frugal among so many batch sizes, of which most have converged often."""
    known, none = np.zeros((sizes, WIDTH)), np.empty((0, 6))
    job = np.log2(2.0 ** (4 + np.arange(sizes) * 8 / sizes)), 0, known, np.zeros(2), none, 0.5, 125.0
    mind = Mind(*job)
    for training in range(5 * (sizes - 2)):
        mind.learn(training // 5, 12.0 + training % 5, 60.0, 1e4, 0, -np.inf, training)
    usable, states = np.ones(sizes, dtype=np.uint8), jobs(1).states
    return lambda: Mind(*job).choose(1000, 100.0, usable, states)


def decisions_of_frugal() -> Iterator[Measure]:
    """Measure single decisions of policy frugal, from what is known on, beside Thompson sampling."""
    one = jobs(1)
    for sizes in (8, 16, 64):
        yield Measure(
            f"frugal, {sizes} batch sizes",
            repeated(frugal_decision(sizes)),
            CALLS,
            MICROSECONDS,
            "thompson, 8 arms",
            repeated(lambda: thompson.choose(*one)),
        )


def fit_by_reduceat(rewards: Floats, offsets: NDArray[np.int64], means: Floats, precisions: Floats) -> Fitted:
    """Fit all arms in two passes over whole arrays, as one would in NumPy."""
    counts = np.diff(offsets)
    sums = np.add.reduceat(rewards, offsets[:-1])
    deviations = rewards - np.repeat(sums / counts, counts)
    deviations *= deviations
    reward_precisions = counts / np.add.reduceat(deviations, offsets[:-1])
    posterior_precisions = precisions + counts * reward_precisions
    posterior_means = (precisions * means + reward_precisions * sums) / posterior_precisions
    return posterior_means, posterior_precisions, reward_precisions


def fit_by_loop(rewards: Floats, offsets: NDArray[np.int64]) -> None:
    """Fit arm by arm with ``np.var``."""
    for start, end in itertools.pairwise(offsets.tolist()):
        seen = rewards[start:end]
        reward_precision = np.reciprocal(np.var(seen))
        precision = 1.0 + len(seen) * reward_precision
        reward_precision * seen.sum() / precision


def fits(observations: int) -> Iterator[Measure]:
    """Measure the fits of 100,000 arms of so many rewards, beside NumPy and beside just reading them."""
    rewards = np.random.default_rng(2).normal(-1e6, 1e5, size=JOBS * observations)
    offsets, priors = np.arange(JOBS + 1) * observations, (np.zeros(JOBS), np.ones(JOBS))
    np.testing.assert_allclose(
        posterior.fit(rewards, offsets, *priors), fit_by_reduceat(rewards, offsets, *priors), rtol=1e-9
    )
    fit = f"fit, {observations} rewards an arm"

    def run() -> Fitted:
        return posterior.fit(rewards, offsets, *priors)

    size, unit = rewards.nbytes / GIGA, "GB/s"
    tenth = offsets[: JOBS // 10 + 1]
    yield Measure(fit, run, size, unit, "np.add.reduceat", lambda: fit_by_reduceat(rewards, offsets, *priors))
    yield Measure(fit, run, size, unit, "np.var in a loop", lambda: fit_by_loop(rewards, tenth), share=0.1)
    yield Measure(fit, run, size, unit, "np.sum", lambda: np.sum(rewards))
    yield Measure(
        f"compensated, {observations}",
        lambda: posterior.fit_compensated(rewards, offsets, *priors),
        size,
        unit,
        "fit",
        run,
    )


def decisions_of_mabwiser() -> Iterator[Measure]:
    """Measure a decision beside MABWiser's, where that is installed: its draws are Beta, not Gaussian."""
    if find_spec("mabwiser") is None:
        return
    mab = import_module("mabwiser.mab")
    bandit = mab.MAB(arms=list(range(ARMS)), learning_policy=mab.LearningPolicy.ThompsonSampling(), seed=7)
    bandit.fit(decisions=list(range(ARMS)) * 5, rewards=[0, 1, 1, 0, 1] * ARMS)
    one = jobs(1)
    yield Measure(
        "decision, 8 arms",
        repeated(lambda: thompson.choose(*one)),
        CALLS,
        MICROSECONDS,
        "MABWiser predict",
        repeated(bandit.predict),
    )


def all_measures() -> list[Measure]:
    """Return everything that is measured."""
    return [*decisions(), *decisions_of_frugal(), *decisions_of_mabwiser(), *fits(8), *fits(100)]


def seconds_of(call: Callable[[], object]) -> float:
    """Time one call."""
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measured(measures: list[Measure], rounds: int) -> list[Result]:
    """Run everything once unmeasured, then so many rounds of everything."""
    for measure in measures:
        measure.run()
        measure.run_beside()
    times = [
        [(seconds_of(one.run), seconds_of(one.run_beside) / one.share) for one in measures]
        for _ in range(rounds)
    ]
    return [
        Result(
            measure.value(median(own for own, _ in pairs)),
            measure.value(median(beside for _, beside in pairs)),
            median(beside / own for own, beside in pairs),
        )
        for measure, pairs in zip(measures, zip(*times, strict=True), strict=True)
    ]


def table(measures: list[Measure], results: list[Result]) -> Table:
    """Show a line a measure."""
    shown = Table(title="Kernels, one core", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for heading in ("what", "", "unit", "beside", "", "ratio"):
        shown.add_column(
            heading, justify="left" if heading in {"what", "unit", "beside"} else "right", no_wrap=True
        )
    for measure, result in zip(measures, results, strict=True):
        figures = [f"{figure:.2f}" for figure in result]
        shown.add_row(measure.name, figures[0], measure.unit, measure.beside, figures[1], figures[2])
    return shown


def main() -> None:
    """Measure, show, and print the line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of which medians are taken (default 9)")
    rounds = max(1, parser.parse_args().rounds)
    measures = all_measures()
    results = measured(measures, rounds)
    Console().print(table(measures, results))
    lines = [
        {"what": measure.name, "unit": measure.unit, "beside": measure.beside, "median": result._asdict()}
        for measure, result in zip(measures, results, strict=True)
    ]
    print(json.dumps({"benchmark": "kernels", "rounds": rounds, "numpy": np.__version__, "results": lines}))


if __name__ == "__main__":
    main()
