"""Work apart from the main thread, and signals at each step of starting it and waiting for it."""

from __future__ import annotations

import _thread
import gc
import itertools
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Callable

import pytest

from batchbandit.apart import apart
from batchbandit.heartbeats import Heartbeats
from batchbandit.service import Service, TrialName

if TYPE_CHECKING:
    from collections.abc import Iterator


class Signalled(BaseException):
    """What the handler raises."""


@pytest.fixture
def handled() -> Iterator[None]:
    """Let SIGUSR1 raise, and collect no garbage, inside of which Python loses what is raised."""

    def handler(*_: object) -> None:
        raise Signalled

    gc.disable()
    before = signal.signal(signal.SIGUSR1, handler)
    yield
    signal.signal(signal.SIGUSR1, before)
    gc.enable()


def is_signalled(call: Callable[[], object], step: int) -> bool:
    """Call with a signal before the bytecode of a number in their order; tell whether there are so many."""
    steps = itertools.count(1)
    is_sent = False

    def trace(frame: Any, event: str, _: object) -> Any:  # noqa: ANN401 -- as sys.settrace says
        nonlocal is_sent
        frame.f_trace_opcodes = True
        if event == "opcode" and next(steps) == step:
            is_sent = True
            signal.raise_signal(signal.SIGUSR1)
        return trace

    before = sys.gettrace()
    # Python 3.12 traces no opcodes where no frame had asked for them before settrace.
    sys._getframe().f_trace_opcodes = True  # noqa: SLF001 -- it is documented
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return is_sent


def came_out(call: Callable[[], object]) -> int:
    """Signal each step of a call once; return how many there are, if what was raised came out of each."""
    for step in itertools.count(1):
        try:
            assert not is_signalled(call, step), f"It was lost at step {step}."
        except Signalled:
            continue
        return step - 1
    raise AssertionError


def test_the_work_is_done_in_another_thread_and_its_outcome_is_had_here() -> None:
    assert apart(_thread.get_ident) != _thread.get_ident()
    with pytest.raises(ZeroDivisionError):
        apart(lambda: 1 / 0)


def test_work_that_takes_too_long_is_left_to_itself() -> None:
    may_end, has_ended = threading.Event(), threading.Event()

    def work() -> None:
        may_end.wait(30)
        has_ended.set()

    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        apart(work, 0.6)
    assert time.monotonic() - begun >= 0.6
    may_end.set()
    assert has_ended.wait(30)


def test_where_no_thread_can_be_started_the_work_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_thread, "start_new_thread", refused)
    assert apart(_thread.get_ident) == _thread.get_ident()


@pytest.mark.usefixtures("handled")
def test_what_a_signal_raises_comes_out_at_every_step() -> None:
    assert came_out(lambda: apart(lambda: None)) > 20


@pytest.mark.usefixtures("handled")
def test_heartbeats_that_a_signal_breaks_in_on_stop_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Service, "beat", lambda *_, **__: 600.0)
    made: list[Heartbeats] = []

    def stopped() -> None:
        made[-1].stop()

    def anew() -> None:
        made.append(Heartbeats(Service.__new__(Service), TrialName("j", 8, 1)))

    for step in itertools.count(1):
        anew()
        try:
            is_over = not is_signalled(stopped, step)
        except Signalled:
            is_over = False
        made[-1].stop()
        made[-1].join()
        assert "batchbandit-heartbeats" not in [thread.name for thread in threading.enumerate()]
        if is_over:
            assert step > 10
            break
