"""A stand-in for nvidia-ml-py whose GPUs are in a file, the same ones in every process.

The file, named by FAKE_NVML, has for each UUID: limit, lowest, highest in milliwatts, and flaws: what a call
fails with, by the call's name; or at which limit it is stuck, or the process that sets it is killed; or to
how many milliwatts it is rounded.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
from pathlib import Path
from typing import Any


class NVMLError(Exception):
    """Base of what calls fail with."""


class NVMLError_NoPermission(NVMLError):  # noqa: N801
    """Insufficient Permissions."""


class NVMLError_NotSupported(NVMLError):  # noqa: N801
    """Not Supported."""


class NVMLError_GpuIsLost(NVMLError):  # noqa: N801
    """GPU is lost."""


FLAWS = {
    "denied": NVMLError_NoPermission("Insufficient Permissions"),
    "unsupported": NVMLError_NotSupported("Not Supported"),
    "lost": NVMLError_GpuIsLost("GPU is lost"),
}


def _gpus() -> dict[str, dict[str, Any]]:
    gpus: dict[str, dict[str, Any]] = json.loads(Path(os.environ["FAKE_NVML"]).read_text())
    return gpus


def _gpu(uuid: str, call: str) -> dict[str, Any]:
    gpu = _gpus()[uuid]
    if call in gpu["flaws"]:
        raise FLAWS[gpu["flaws"][call]]
    return gpu


def nvmlInit() -> None:  # noqa: N802
    """Do nothing."""


def nvmlDeviceGetHandleByUUID(uuid: str) -> str:  # noqa: N802
    """Return the UUID."""
    if uuid not in _gpus():
        raise NVMLError("Not Found")
    return uuid


def nvmlDeviceGetMigMode(handle: str) -> list[int]:  # noqa: N802
    """Return the mode now, and after the next reset."""
    is_divided = _gpu(handle, "mig").get("divided")
    if is_divided is None:
        raise FLAWS["unsupported"]
    return [int(is_divided), int(is_divided)]


def nvmlDeviceGetPowerManagementLimitConstraints(handle: str) -> list[int]:  # noqa: N802
    """Return the lowest and the highest limit, in milliwatts."""
    gpu = _gpu(handle, "constraints")
    return [gpu["lowest"], gpu["highest"]]


def nvmlDeviceGetPowerManagementLimit(handle: str) -> int:  # noqa: N802
    """Return the limit in milliwatts."""
    return int(_gpu(handle, "get")["limit"])


def nvmlDeviceSetPowerManagementLimit(handle: str, limit: int) -> None:  # noqa: N802
    """Set the limit in milliwatts."""
    gpu = _gpu(handle, "set")
    if not gpu["lowest"] <= limit <= gpu["highest"]:
        raise NVMLError("Invalid Argument")
    if limit == gpu["flaws"].get("stuck"):
        raise FLAWS["lost"]
    if limit == gpu["flaws"].get("killed before"):
        os.kill(os.getpid(), signal.SIGKILL)
    kept = limit // gpu["flaws"].get("rounds", 1) * gpu["flaws"].get("rounds", 1)
    path = Path(os.environ["FAKE_NVML"])
    lock = path.with_suffix(".lock")
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        gpus = _gpus()
        gpus[handle]["limit"] = kept
        gpus[handle]["sets"].append(limit)
        fresh = path.with_suffix(".fresh")
        fresh.write_text(json.dumps(gpus))
        fresh.replace(path)
    if limit == gpu["flaws"].get("killed after"):
        os.kill(os.getpid(), signal.SIGKILL)
