"""Where a simulation is computed: in this process, in several, in threads, or on a Dask cluster.

What comes out is the same.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import active_children, get_context
from threading import current_thread, main_thread
from threading import enumerate as enumerate_threads
from time import monotonic
from typing import TypeVar

from service.errors import OpeningError

T = TypeVar("T")
U = TypeVar("U")

Advance = Callable[[int], None]

PATIENCE = 2.0
"""Seconds after which it is worth while to start further processes, where nobody has said how many."""
CONNECT_SECONDS = 10


def mapped(work: Callable[[T], U], pieces: Sequence[T], workers: int | None, advance: Advance) -> list[U]:
    """Return what work makes of each piece, with so many processes; None for as many as there are cores.

    Without a number they are started only for what is not done within ``PATIENCE``.
    """
    if workers is not None and workers > 1:
        with _processes(workers) as pool:
            return submitted(pool, work, pieces, advance)
    done: list[U] = []
    begun = monotonic()
    for piece in pieces:
        if workers is None and monotonic() - begun > PATIENCE and _cores() > 1:
            break
        done.append(work(piece))
        advance(1)
    left = pieces[len(done) :]
    if left:
        with _processes(_cores()) as pool:
            done += submitted(pool, work, left, advance)
    return done


def submitted(pool: Executor, work: Callable[[T], U], pieces: Sequence[T], advance: Advance) -> list[U]:
    """Return what work makes of each piece in a pool; who made the pool ends it where that fails."""
    with _interrupts_held():
        futures = [pool.submit(work, piece) for piece in pieces]
    for future in as_completed(futures):
        future.result()
        advance(1)
    return [future.result() for future in futures]


@contextmanager
def threads(workers: int | None, stop: Callable[[], None]) -> Iterator[Executor]:
    """Yield a pool of threads, for work that waits for somebody else; where one fails, the others stop."""
    pool = ThreadPoolExecutor(workers or _cores())
    try:
        yield pool
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """Yield the workers of a Dask cluster as a pool; this package is installed on each of them.

    Raises:
        OpeningError: Dask is not installed, or there is no scheduler at the address.
    """
    try:
        distributed = import_module("distributed")  # an extra, which few have
    except ImportError as error:
        raise OpeningError(
            "Dask is not installed here; pip install 'batchbandit-server[dask]', or leave --dask out"
        ) from error
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise OpeningError(
            f"no Dask scheduler answers at {address} ({error}); start one, or name its address"
        ) from error
    with client:
        pool = client.get_executor()
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)  # which cancels what is left


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold interrupts back until the end; processes that are started meanwhile never get any.

    An interrupt goes to all processes of a terminal, and is for this one to heed: by its main thread, also
    where another thread, which blocks none, has been handed it.
    """
    held: list[int] = []
    is_main = current_thread() is main_thread()  # no other is broken in on
    heeding = signal.signal(signal.SIGINT, lambda number, _: held.append(number)) if is_main else None
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        if is_main:
            signal.signal(signal.SIGINT, heeding)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if held:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """Yield so many processes; where one fails, or an interrupt comes, the others are ended at once."""
    others, running = set(active_children()), set(enumerate_threads())
    # A process that is forked would share the threads' locks, of the progress bar for one.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(active_children()) - others:
            process.kill()
        for thread in set(enumerate_threads()) - running:  # which Python would else come upon as it ends
            if thread.is_alive():  # and not only about to start
                thread.join(PATIENCE)
        raise
    finally:
        pool.shutdown()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
