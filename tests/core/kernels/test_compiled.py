"""The service runs on the compiled kernels, never on their twins."""

from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType

import pytest

from core.kernels import (
    beliefs,
    frugality,
    odds,
    posterior,
    recurrences,
    recurring_frugal,
    recurring_grid,
    recurring_zeus,
    stream,
    thompson,
)


@pytest.mark.parametrize(
    "kernel",
    [
        beliefs,
        frugality,
        odds,
        posterior,
        recurrences,
        recurring_frugal,
        recurring_grid,
        recurring_zeus,
        stream,
        thompson,
    ],
    ids=lambda kernel: kernel.__name__,
)
def test_the_kernel_in_use_is_an_extension_module(kernel: ModuleType) -> None:
    assert kernel.__file__ is not None
    assert kernel.__file__.endswith(tuple(EXTENSION_SUFFIXES))
