"""A process that sets the power limits of GPUs, and restores them however the training ends.

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

from batchbandit.folders import make
from batchbandit.locks import hold
from batchbandit.power_guard import Unsettable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType

    from batchbandit.locks import Held

PARENT_SECONDS = 0.2
"""How often it looks whether its parent is still there."""
ROUNDING = 1000
"""Milliwatts by which a limit may differ from the one that was set, as drivers round."""


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
        self._lock = _locked(folder / f"{identity}.limit", identity)
        try:
            self._handle = nvml.nvmlDeviceGetHandleByUUID(identity)
            if _is_divided(nvml, self._handle):
                raise Unsettable(f"{identity} is divided (MIG), and its parts have one limit")
            self.lowest: int = nvml.nvmlDeviceGetPowerManagementLimitConstraints(self._handle)[0]
            self.found = self._limit()
        except nvml.NVMLError as error:
            raise Unsettable(self._sentence(error)) from None
        # A note is of a guardian that was killed; another limit than those it set is somebody else's.
        self._ours = [self.found]
        noted = _noted(self._lock.descriptor)
        if _is_among(self.found, noted[1:]):
            self.found = noted[0]

    def set(self, milliwatts: int) -> None:
        """Set the limit; raises Unsettable."""
        try:
            self._ours = [self._ours[-1], milliwatts]  # it may be killed before or after it sets the new one
            self._write()
            self._nvml.nvmlDeviceSetPowerManagementLimit(self._handle, milliwatts)
        except (OSError, self._nvml.NVMLError) as error:
            raise Unsettable(self._sentence(error)) from None

    def restore(self) -> str:
        """Set the limit that was found, unless somebody else has set one; return what went wrong, if so."""
        try:
            now = self._limit()
            if now != self.found and _is_among(now, self._ours):
                self._nvml.nvmlDeviceSetPowerManagementLimit(self._handle, self.found)
            os.ftruncate(self._lock.descriptor, 0)
        except (OSError, self._nvml.NVMLError) as error:
            command = f"nvidia-smi -i {self._identity} -pl {self.found / 1000:g}"
            return f"{self._sentence(error)}; {command} restores it"
        return ""

    def _limit(self) -> int:
        return int(self._nvml.nvmlDeviceGetPowerManagementLimit(self._handle))

    def _write(self) -> None:
        note = "".join(f"{limit:12d} " for limit in (self.found, *self._ours))
        os.pwrite(self._lock.descriptor, note.encode(), 0)  # always as long: never torn

    def _sentence(self, error: Exception) -> str:
        if isinstance(error, self._nvml.NVMLError_NoPermission):
            return f"{self._identity}: setting it needs root, in a container the capability SYS_ADMIN besides"
        return f"{self._identity}: {error}"


def _locked(path: Path, identity: str) -> Held:
    """Lock a file until this process ends."""
    try:
        make(path.parent)
        held = hold(path, os.O_CREAT | os.O_NOFOLLOW)
    except OSError as error:
        raise Unsettable(f"what is to be restored cannot be noted: {error}") from None
    if held is None:
        raise Unsettable(f"another training sets that of {identity}")
    if not held.is_locked:
        raise Unsettable(f"{path} cannot be locked there")
    return held


def _noted(file: int) -> list[int]:
    """Return the limits found and set that a guardian has left; none where it has restored them."""
    try:
        return [int(limit) for limit in os.pread(file, 100, 0).split()]
    except (OSError, ValueError):
        return []


def _is_among(limit: int, limits: Iterable[int]) -> bool:
    return any(abs(limit - each) < ROUNDING for each in limits)


def _is_divided(nvml: ModuleType, handle: object) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError:  # it cannot be
        return False


def _taken(identities: Sequence[str], folder: Path) -> list[_Gpu]:
    """Return the GPUs, locked; raises Unsettable."""
    try:
        import pynvml  # noqa: PLC0415 - the training's machine may lack it
    except ImportError:
        raise Unsettable("nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unsettable(f"NVML does not start: {error}") from None
    gpus: list[_Gpu] = []
    try:
        for identity in identities:
            gpus.append(_Gpu(pynvml, identity, folder))  # noqa: PERF401 - those before one that fails matter
    except Unsettable:
        _restored(gpus)  # what a guardian that was killed has left
        raise
    return gpus


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
