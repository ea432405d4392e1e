"""Where a simulation is computed: in this process, in several, in threads, or on a Dask cluster.

What comes out is the same.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
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
    """Return what work makes of each piece in a pool."""
    futures = [pool.submit(work, piece) for piece in pieces]
    try:
        for future in as_completed(futures):
            future.result()
            advance(1)
    except BaseException:
        for future in futures:
            future.cancel()
        raise
    return [future.result() for future in futures]


def threads(workers: int | None) -> Executor:
    """Return a pool of threads, for work that waits for somebody else."""
    return ThreadPoolExecutor(workers or _cores())


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
        yield client.get_executor()


def _processes(workers: int) -> Executor:
    # A process that is forked would share the threads' locks, of the progress bar for one.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
