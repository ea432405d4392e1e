"""A process that sets the power limits of GPUs, and restores them whatever becomes of the training.

Only a process of its own can restore a limit after a kill -9. It alone changes limits, so that none is set
after it has restored them. It and the training say a line of JSON each in turn::

    python -m batchbandit.guardian PARENT FOLDER GPU-...
                            <- {"gpus": [[found, lowest], ...]}   in watts, one for each GPU
    {"set": 175.0}          -> {}                                 all of its GPUs, or none
    {}                      -> {}                                 restored; it ends

or ``{"error": sentence}``. It restores, too, when the pipe closes, and when its parent is no longer there: a
forked worker that outlives the training holds the pipe open. A file for each GPU is its lock, since two
trainings would restore each other's limits, and notes what is to be restored, should the guardian itself be
killed: whoever takes the GPU next then restores it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# What the training's machine may lack is imported where it is used: this module is also imported there.
# ruff: noqa: PLC0415

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

PARENT_SECONDS = 0.2
"""How often it looks whether its parent is still there."""


class Unsettable(Exception):
    """A power limit that cannot be set or restored; the sentence says why."""


class _Gpu:
    """A GPU whose limit is ours to set until this process ends; all limits in milliwatts, as NVML has them.

    Raises:
        Unsettable: It is not, and why.
    """

    def __init__(self, nvml: ModuleType, identity: str, folder: Path) -> None:
        self._nvml = nvml
        self._identity = identity
        if not identity.startswith("GPU-"):
            raise Unsettable(f"{identity} is not an NVIDIA GPU, or only a part of one")
        self._note = _locked(folder / f"{identity}.limit", identity)
        try:
            self._handle = nvml.nvmlDeviceGetHandleByUUID(identity)
            if _is_divided(nvml, self._handle):
                raise Unsettable(f"{identity} is divided (MIG), and its parts have one limit")
            self.lowest: int = nvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)[0]
            now = self._limit()
        except nvml.NVMLError as error:
            raise Unsettable(self._sentence(error)) from None
        # A note is of a guardian that was killed; another limit than the one it set is somebody else's.
        noted = _noted(self._note)
        self.found = now
        self._ours: int | None = None
        if noted is not None and noted[1] == now:
            self.found, self._ours = noted

    def set(self, milliwatts: int) -> None:
        """Set the limit; raises Unsettable."""
        try:
            self._write(milliwatts)
            self._nvml.nvmlDeviceSetPowerManagementLimit(self._handle, milliwatts)
            self._ours = self._limit()
            if self._ours != milliwatts:  # rounded by the driver
                self._write(self._ours)
        except (OSError, self._nvml.NVMLError) as error:
            raise Unsettable(self._sentence(error)) from None

    def restore(self) -> str:
        """Set the limit that was found, unless somebody else has set one; return what went wrong, if so."""
        try:
            if self._ours is not None and self._limit() == self._ours:
                self._nvml.nvmlDeviceSetPowerManagementLimit(self._handle, self.found)
            self._ours = None
            os.ftruncate(self._note, 0)
        except (OSError, self._nvml.NVMLError) as error:
            command = f"nvidia-smi -i {self._identity} -pl {self.found / 1000:g}"
            return f"{self._sentence(error)}; {command} restores it"
        return ""

    def _limit(self) -> int:
        return int(self._nvml.nvmlDeviceGetPowerManagementLimit(self._handle))

    def _write(self, ours: int) -> None:
        os.pwrite(self._note, f"{self.found:12d} {ours:12d}\n".encode(), 0)  # always as long: never torn

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, self._nvml.NVMLError_NoPermission):
            return f"{self._identity}: setting it needs root, in a container the capability SYS_ADMIN besides"
        return f"{self._identity}: {error}"


def _locked(path: Path, identity: str) -> int:
    """Return a file that is locked until this process ends."""
    import fcntl

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Unsettable(f"another training sets that of {identity}") from None
    except OSError as error:
        raise Unsettable(f"what is to be restored cannot be noted: {error}") from None
    return file


def _noted(file: int) -> tuple[int, int] | None:
    """Return the limits found and set that a guardian has left; None where it has restored them."""
    try:
        found, ours = os.pread(file, 100, 0).split()
        return int(found), int(ours)
    except (OSError, ValueError):
        return None


def _is_divided(nvml: ModuleType, handle: object) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:  # it cannot be
        return False


def _taken(identities: Sequence[str], folder: Path) -> list[_Gpu]:
    """Return the GPUs, locked; raises Unsettable."""
    try:
        import pynvml
    except ImportError:
        raise Unsettable("nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unsettable(f"NVML does not start: {error}") from None
    return [_Gpu(pynvml, identity, folder) for identity in identities]


def _serve(gpus: Sequence[_Gpu], parent: int) -> None:
    """Set limits until told to restore, or until the training is gone."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while os.getppid() == parent:
        if not poll.poll(PARENT_SECONDS * 1000):
            continue
        line = os.read(0, select.PIPE_BUF)  # commands come one at a time, each written at once
        command = json.loads(line) if line else {}
        if not command:
            return
        try:
            for gpu in gpus:
                gpu.set(round(command["set"] * 1000))
        except Unsettable as error:
            _answer({"error": ". ".join([str(error), *_restored(gpus)])})
        else:
            _answer({})


def _restored(gpus: Sequence[_Gpu]) -> list[str]:
    """Restore the limit of every GPU, and return a sentence for each that could not be."""
    return list(filter(None, [gpu.restore() for gpu in gpus]))


def _answer(answer: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more
        os.write(1, json.dumps(answer).encode() + b"\n")


def main(arguments: Sequence[str]) -> int:
    """Guard GPUs: ``arguments`` are the parent's process ID, the folder for locks, and UUIDs."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):  # they are meant for the training
        signal.signal(number, signal.SIG_IGN)
    try:
        gpus = _taken(arguments[2:], Path(arguments[1]))
    except Unsettable as error:
        _answer({"error": str(error)})
        return 1
    try:
        _answer({"gpus": [[gpu.found / 1000, gpu.lowest / 1000] for gpu in gpus]})
        _serve(gpus, int(arguments[0]))
    finally:
        flaws = _restored(gpus)
    if flaws:
        sys.stderr.write(f"batchbandit: a power limit is not as it was: {'. '.join(flaws)}\n")
    _answer({"error": ". ".join(flaws)} if flaws else {})
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
