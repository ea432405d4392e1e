"""Making many decisions at once: their needs are answered together, kind by kind."""

from collections.abc import Callable, Generator, Sequence
from itertools import accumulate
from typing import Any, TypeVar

import numpy as np

from core.kernels import posterior, stream, thompson
from core.needs import Choice, Chosen, Fit, Need, Stored
from core.records import Posterior

T = TypeVar("T")

Load = Callable[[Sequence[Stored]], Sequence[Any]]


def settle(decisions: Sequence[Generator[Need, Any, T]], load: Load) -> list[T | Exception]:
    """Make decisions side by side, each of another job.

    What is stored is read before anything is fitted, and everything is fitted before a sample is drawn, so
    that each kernel is called as seldom as the decisions allow.

    Args:
        decisions: Generators that have not started.
        load: Answers needs for what is stored, in their order.

    Returns:
        What each decision returned or, where it raised, its exception: one failing leaves the others alone.

    Raises:
        Exception: What ``load`` or a kernel raised; then no decision has been made.
    """
    outcomes: list[T | Exception | None] = [None] * len(decisions)
    open_needs: dict[int, Need] = {}

    def advance(index: int, answer: Any) -> None:  # noqa: ANN401  (an answer is of its need's kind)
        try:
            open_needs[index] = decisions[index].send(answer)
        except StopIteration as end:
            outcomes[index] = end.value
            open_needs.pop(index, None)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is this decision's alone)
            outcomes[index] = error
            open_needs.pop(index, None)

    for index in range(len(decisions)):
        advance(index, None)
    while open_needs:
        chosen, answer_all = _next_kind(open_needs, load)
        answers = answer_all([open_needs[index] for index in chosen])
        for index, answer in zip(chosen, answers, strict=True):
            advance(index, answer)
    return outcomes  # type: ignore[return-value]  # every slot has been filled


def _next_kind(
    open_needs: dict[int, Need], load: Load
) -> tuple[list[int], Callable[[Sequence[Any]], Sequence[Any]]]:
    stored = [i for i, need in open_needs.items() if not isinstance(need, Fit | Choice)]
    if stored:
        return stored, load
    fits = [i for i, need in open_needs.items() if isinstance(need, Fit)]
    if fits:
        return fits, fit
    return list(open_needs), choose


def _offsets(lengths: Sequence[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.fromiter(accumulate(lengths, initial=0), dtype=np.int64, count=len(lengths) + 1)


def fit(wanted: Sequence[Fit]) -> list[list[Posterior]]:
    """Fit all arms of all needs in one call of the kernel."""
    segments = [segment for need in wanted for segment in need.rewards]
    means, precisions, reward_precisions = posterior.fit(
        np.concatenate([np.empty(0), *segments]),
        _offsets([len(segment) for segment in segments]),
        np.array([need.terms.mab_prior_mean for need in wanted for _ in need.rewards], dtype=np.float64),
        np.array([need.terms.mab_prior_precision for need in wanted for _ in need.rewards], dtype=np.float64),
    )
    fitted = map(Posterior, means.tolist(), precisions.tolist(), reward_precisions.tolist())
    return [[next(fitted) for _ in need.rewards] for need in wanted]


def choose(wanted: Sequence[Choice]) -> list[Chosen]:
    """Take the Thompson steps of all needs in one call of the kernel.

    An arm without observations is explored before any draw is made from it, whatever the job asks for.
    """
    arms = [arm for need in wanted for arm in need.arms]
    offsets = _offsets([len(need.arms) for need in wanted])
    choices, samples, states = thompson.choose(
        offsets,
        np.array([arm.param_mean for arm in arms], dtype=np.float64),
        np.array([arm.param_precision for arm in arms], dtype=np.float64),
        np.array([arm.num_observations for arm in arms], dtype=np.int64),
        np.array([max(need.job.mab_num_explorations, 1) for need in wanted], dtype=np.int64),
        stream.decode([need.job.mab_random_generator_state for need in wanted]),
    )
    return [
        Chosen(need.arms[choice], samples[start : start + len(need.arms)], state)
        for need, choice, start, state in zip(
            wanted, choices.tolist(), offsets.tolist()[:-1], stream.encode(states), strict=True
        )
    ]
