"""The learning rate for another batch size than the one it was tuned for.

The linear rule is for stochastic gradient descent, with a few epochs of warm-up where the batch size grows
much (Goyal et al. 2017, "Accurate, Large Minibatch SGD"). The square root keeps the variance of the updates
(Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks"; Hoffer et al. 2017,
"Train longer, generalize better") and is for adaptive optimizers, as Adam. Zeus (You et al. 2023) scales by
these two rules.
"""

from __future__ import annotations

import math
import operator
from typing import Any

_EXPONENTS = {"linear": 1.0, "square_root": 0.5}


def scaled(learning_rate: float, from_batch_size: int, to_batch_size: int, rule: str = "linear") -> float:
    """Return the learning rate for ``to_batch_size``, given the one tuned for ``from_batch_size``.

    Both batch sizes are those of all devices together. The rule is ``linear``, for stochastic gradient
    descent, or ``square_root``, for Adam and its like.

    Raises:
        ValueError: A learning rate that is not finite and above 0, a batch size that is no integer above 0,
            or another rule.
    """
    if not math.isfinite(learning_rate) or learning_rate <= 0:
        raise ValueError(f"the learning rate is {learning_rate}; it must be finite and above 0.")
    return learning_rate * _factor(from_batch_size, to_batch_size, rule)


def scale(optimizer: Any, from_batch_size: int, to_batch_size: int, rule: str = "linear") -> None:  # noqa: ANN401
    """Scale the learning rates of an optimizer's ``param_groups``, which were tuned for ``from_batch_size``.

    A scheduler of learning rates remembers those that it finds: it is to be made after this.

    Raises:
        ValueError: As in ``scaled``; nothing has been changed then.
    """
    factor = _factor(from_batch_size, to_batch_size, rule)
    for group in optimizer.param_groups:
        group["lr"] *= factor  # in place, where it is a tensor


def _factor(from_batch_size: int, to_batch_size: int, rule: str) -> float:
    if rule not in _EXPONENTS:
        raise ValueError(f"the rule is {rule!r:.60}; it must be one of {', '.join(_EXPONENTS)}.")
    ratio = _batch_size(to_batch_size) / _batch_size(from_batch_size)
    return math.pow(ratio, _EXPONENTS[rule])


def _batch_size(value: object) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__") or operator.index(value) < 1:
        raise ValueError(f"a batch size is {value!r:.60}; it must be an integer above 0.")
    return operator.index(value)
