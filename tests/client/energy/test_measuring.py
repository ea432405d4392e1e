"""Measuring a block, or a function."""

# ruff: noqa: ANN401 - what is loaded by its path has no type

from __future__ import annotations

import logging
import sys
import types
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit.energy.measuring import measure

if TYPE_CHECKING:
    from collections.abc import Callable


def test_a_block_is_measured(fake: Any, install: Callable[..., Any]) -> None:
    clock = fake.Clock()
    library = install(fake.Gpu(clock, "GPU-aa"))
    with measure(clock=clock) as measured:
        clock.pass_by(5)
        assert measured.seconds == 5
        assert measured.joules == pytest.approx(500)
        clock.pass_by(5)
    clock.pass_by(100)
    assert measured.seconds == 10
    assert measured.joules == pytest.approx(1000)
    assert (measured.source, measured.flaw) == ("nvml-counter", None)
    assert measured.by_device == {"GPU-aa": measured.joules}
    assert library.references == 0


def test_what_is_measured_with_nothing_is_the_time(fake: Any) -> None:
    clock = fake.Clock()
    with measure(clock=clock) as measured:
        clock.pass_by(5)
    assert (measured.seconds, measured.joules, measured.source) == (5, 0, "none")


def test_a_block_that_fails_is_measured_and_fails(fake: Any, install: Callable[..., Any]) -> None:
    clock = fake.Clock()
    library = install(fake.Gpu(clock, "GPU-aa"))

    def fail() -> None:
        clock.pass_by(5)
        raise KeyError

    with pytest.raises(KeyError), measure(clock=clock) as measured:
        fail()
    assert measured.joules == pytest.approx(500)
    assert library.references == 0


def test_a_function_is_measured_at_every_call(
    fake: Any, install: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    clock = fake.Clock()
    install(fake.Gpu(clock, "GPU-aa"))

    @measure(clock=clock)
    def work(seconds: float) -> float:
        clock.pass_by(seconds)
        return seconds

    with caplog.at_level(logging.INFO, "batchbandit"):
        assert [work(5), work(7)] == [5, 7]
    assert caplog.messages == [
        "Measured 5.000 s, 500.000 J (nvml-counter).",
        "Measured 7.000 s, 700.000 J (nvml-counter).",
    ]


def test_a_gpu_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="no GPU"), measure([5]):
        pass


@pytest.mark.parametrize("is_broken", [False, True])
def test_work_that_is_queued_on_a_gpu_is_waited_for(
    fake: Any, monkeypatch: pytest.MonkeyPatch, is_broken: bool
) -> None:
    clock = fake.Clock()

    def finish() -> None:
        clock.pass_by(3)
        if is_broken:
            raise RuntimeError("CUDA error: device-side assert triggered")

    torch: Any = types.ModuleType("torch")
    torch.cuda = types.SimpleNamespace(is_initialized=lambda: True, synchronize=finish)
    monkeypatch.setitem(sys.modules, "torch", torch)
    with measure(clock=clock) as measured:
        clock.pass_by(1)
    assert measured.seconds == 4  # the wait before the block is not of it
