"""What a training's end is called."""

from __future__ import annotations

import asyncio

import pytest

from batchbandit.reasons import LONGEST_REASON, reason_of


def of_name(name: str, base: type[BaseException] = RuntimeError) -> BaseException:
    error: BaseException = type(name, (base,), {})("an error")
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        of_name("OutOfMemoryError"),  # torch.cuda's
        of_name("ResourceExhaustedError", Exception),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 1 bytes."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:114] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
        OSError(12, "Cannot allocate memory: not enough memory"),
    ],
)
def test_out_of_memory_is_told_apart(error: BaseException) -> None:
    assert reason_of(error) == "out_of_memory"


def raised(error: BaseException, first: BaseException, *, is_cause: bool) -> BaseException:
    """Return an error that was raised while another was handled, for it or in its place."""
    error.__cause__ = first if is_cause else None
    error.__context__ = first
    error.__suppress_context__ = True
    return error


def test_out_of_memory_is_found_behind_what_was_raised_for_it() -> None:
    assert reason_of(raised(ValueError("the step failed"), MemoryError(), is_cause=True)) == "out_of_memory"


def test_an_error_after_one_of_memory_that_was_handled_is_not_one() -> None:
    assert reason_of(raised(ValueError("something else"), MemoryError(), is_cause=False)) == "ValueError"


@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), of_name("SIGTERMException", SystemExit)],
)
def test_a_training_that_is_taken_away_was_preempted(error: BaseException) -> None:
    assert reason_of(error) == "preempted"


def test_an_interrupt_that_a_framework_turns_into_an_exit_was_one() -> None:
    exit_ = SystemExit(1)
    exit_.__context__ = KeyboardInterrupt()
    assert reason_of(exit_) == "preempted"
    error = ValueError("in a handler")
    error.__context__ = KeyboardInterrupt()
    assert reason_of(error) == "ValueError"


def test_after_sigterm_every_end_is_a_preemption() -> None:
    assert reason_of(None, was_terminated=True) == "preempted"
    assert reason_of(SystemExit(143), was_terminated=True) == "preempted"
    assert reason_of(MemoryError(), was_terminated=True) == "preempted"


def test_any_other_exception_gives_its_type() -> None:
    assert reason_of(ZeroDivisionError("x")) == "ZeroDivisionError"
    assert reason_of(SystemExit(1)) == "SystemExit"
    assert reason_of(of_name("E" * 300)) == "E" * LONGEST_REASON


def test_leaving_without_an_exception_has_a_reason_too() -> None:
    assert reason_of(None) == "ended_early"
