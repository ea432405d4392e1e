"""The training's end of the pipe to the guardian of its power limits."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

START_SECONDS = 60.0
"""How long a guardian may take to start: without persistence mode a driver loads for seconds each GPU."""
ANSWER_SECONDS = 20.0
"""How long it may take for a command, and to end."""


class Unsettable(Exception):
    """A power limit that cannot be set or restored; the sentence says why."""


class Gone(Unsettable):
    """The guardian has ended."""


class Range(NamedTuple):
    """The limit that a GPU was found with, and the lowest that it allows, in watts."""

    found: float
    lowest: float


class Guardian:
    """Sets the power limits of GPUs through a process that restores them.

    ``ranges`` has what each GPU allows.

    Args:
        identities: The UUIDs of NVIDIA GPUs; at least one.
        folder: Holds locks and notes; made where it is missing.

    Raises:
        Unsettable: The limits cannot be set.
    """

    def __init__(self, identities: Sequence[str], folder: Path) -> None:
        self._owner = os.getpid()
        self._arguments = [str(self._owner), str(folder.absolute()), *identities]
        self._process, self.ranges = _started(self._arguments)
        self._is_open = True

    def set(self, watts: float) -> None:
        """Set the limit of every GPU.

        Raises:
            Unsettable: It was not set; a guardian that is still there has restored all GPUs.
        """
        _ask(self._process, {"set": watts})

    def close(self) -> None:
        """Restore the limits that were found; done twice, or by a forked child, it does nothing.

        Raises:
            Unsettable: A limit was not restored.
        """
        if not self._is_open or os.getpid() != self._owner:
            return
        self._is_open = False
        try:
            _ask(self._process, {})
        except Gone:  # somebody killed it: another one finds in its notes what to restore
            _release(self._process)
            self._process, _ = _started(self._arguments)
            _ask(self._process, {})
        finally:
            _release(self._process)


def _started(arguments: Sequence[str]) -> tuple[subprocess.Popen[bytes], list[Range]]:
    if sys.platform == "win32":
        raise Unsettable("there is nothing on Windows that would restore it")
    if not sys.executable or getattr(sys, "frozen", False):
        raise Unsettable("no Python interpreter is known that would restore it")
    path = [str(Path(entry).absolute()) for entry in sys.path]  # that of this process, wherever it runs
    try:
        process = subprocess.Popen(  # noqa: S603 - this interpreter, on a module of ours
            [sys.executable, "-m", "batchbandit.guardian", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
            start_new_session=True,  # Ctrl-C is for the training
        )
    except OSError as error:
        raise Unsettable(f"the process that would restore it does not start: {error}") from None
    try:
        return process, [Range(*each) for each in _hear(process, START_SECONDS)["gpus"]]
    except Unsettable:
        _release(process)
        raise


def _ask(process: subprocess.Popen[bytes], command: dict[str, float]) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe, for the type checker
    try:
        process.stdin.write(json.dumps(command).encode() + b"\n")
        process.stdin.flush()
    except (OSError, ValueError):
        raise Gone("the process that restores it has ended") from None
    _hear(process, ANSWER_SECONDS)


def _hear(process: subprocess.Popen[bytes], seconds: float) -> dict[str, Any]:
    assert process.stdout is not None  # noqa: S101 - a pipe, for the type checker
    poll = select.poll()
    poll.register(process.stdout, select.POLLIN)
    if not poll.poll(seconds * 1000):
        raise Unsettable(f"the process that restores it has not answered for {seconds:g} seconds")
    line = process.stdout.readline()
    if not line:
        raise Gone("the process that restores it has ended")
    try:
        answer: dict[str, Any] = json.loads(line)
    except ValueError:
        raise Unsettable(f"the process that restores it says {line!r:.100}") from None
    if "error" in answer:
        raise Unsettable(str(answer["error"]))
    return answer


def _release(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):  # what could not be written is written again on closing
                stream.close()
    with contextlib.suppress(subprocess.TimeoutExpired):  # it restores by itself once the driver answers
        process.wait(ANSWER_SECONDS)
