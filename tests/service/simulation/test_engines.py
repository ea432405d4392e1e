"""Where a simulation is computed, and interrupts while it begins."""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from threading import Event, Thread
from typing import Any

import pytest

from service.simulation.engines import submitted


@pytest.fixture
def elsewhere() -> Iterator[Thread]:
    """Let interrupts raise, and return a thread that may be handed them, as a progress bar's may."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    is_over = Event()
    thread = Thread(target=is_over.wait)
    thread.start()
    yield thread
    is_over.set()
    thread.join()
    signal.signal(signal.SIGINT, before)


class Interrupted(Executor):
    """A pool whose first piece of work comes with an interrupt, which another thread is handed."""

    def __init__(self, thread: Thread) -> None:
        self.taken: list[int] = []
        self._thread = thread

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:  # noqa: ANN401
        """Take a piece, and work at once."""
        if not self.taken:
            assert self._thread.ident is not None
            signal.pthread_kill(self._thread.ident, signal.SIGINT)
        for _ in range(100_000):  # time enough to be interrupted in
            pass
        self.taken.extend(args)
        future: Future[Any] = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_an_interrupt_that_another_thread_is_handed_waits_until_all_is_submitted(elsewhere: Thread) -> None:
    pool = Interrupted(elsewhere)
    with pytest.raises(KeyboardInterrupt):
        submitted(pool, abs, range(5), lambda _: None)
    assert pool.taken == [0, 1, 2, 3, 4]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
