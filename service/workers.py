"""Several processes that serve one address together."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import connection
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from prometheus_client.multiprocess import mark_process_dead

from service import metrics
from service.errors import OpeningError
from service.serving import Settings, serve
from service.store.databases import open_database

log = logging.getLogger("batchbandit.workers")

PAUSE_SECONDS = 1.0
"""Before a worker that has ended is replaced: one that cannot start would be started all the time."""

# Each with an interpreter of its own: a fork would share what is no longer one process's, as the metrics.
_spawn = multiprocessing.get_context("spawn")


class Workers:
    """So many processes that accept from one listening socket; one that ends is replaced."""

    def __init__(self, count: int, listener: socket.socket, settings: Settings) -> None:
        self._count = count
        self._arguments = (listener, settings)
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._is_starting = False
        self._stopping = threading.Event()

    def run(self) -> None:
        """Run them until SIGTERM or SIGINT, which all are told; return when all have ended."""
        for stop in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stop, self._stop)
        with shared_metrics():
            for _ in range(self._count):
                self._start()
            while self._processes:
                self._await_one()

    def _start(self) -> None:
        self._is_starting = True
        if not self._stopping.is_set():
            process = _spawn.Process(target=work, args=self._arguments)
            process.start()
            self._processes.append(process)
        self._is_starting = False
        if self._stopping.is_set():  # the signal may have come in between
            self._end()

    def _await_one(self) -> None:
        connection.wait([process.sentinel for process in self._processes])
        for process in [each for each in self._processes if not each.is_alive()]:
            self._processes.remove(process)
            mark_process_dead(process.pid)  # type: ignore[no-untyped-call]
            if not self._stopping.is_set():
                log.error("worker %s ended (exit code %s); another one starts", process.pid, process.exitcode)
                time.sleep(PAUSE_SECONDS)
            self._start()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping.set()
        if not self._is_starting:  # else the process that starts needs the listener yet
            self._end()

    def _end(self) -> None:
        self._arguments[0].close()  # else what comes in now would wait for workers that accept no more
        for process in self._processes:
            process.terminate()


@contextmanager
def shared_metrics() -> Iterator[None]:
    """Let the processes that are started meanwhile keep their metrics in a folder, to be summed."""
    with TemporaryDirectory(prefix="batchbandit-metrics-") as folder:
        os.environ[metrics.FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[metrics.FOLDER]


def work(listener: socket.socket, settings: Settings) -> None:
    """Serve as one of several; also ends when the process that started it does."""
    settings.logs.begin()
    threading.Thread(target=_stop_with_parent, name="parent", daemon=True).start()
    try:
        database = open_database(settings.database_url)
    except OpeningError as error:
        forget_metrics()
        log.critical("%s", error)
        sys.exit(1)
    serve(database, listener, settings)


def forget_metrics() -> None:
    """Delete the figures of this process, which has served nothing: without a database they would pile up."""
    for file in Path(os.environ[metrics.FOLDER]).glob(f"*_{os.getpid()}.db"):
        file.unlink()


def _stop_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
