"""What trainings on this machine have cost, for when the service cannot be asked which batch size is best."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchbandit.folders import make, settle
from batchbandit.jobs import LARGEST_QUANTITY
from batchbandit.locks import holding
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = "results"
VERSION = 1
MOST_COSTS = 20
PATIENCE_SECONDS = 2.0
# What a cost and a convergence depend on: a job of the same name with other values is another one.
TERMS = ("job_id", "eta_knob", "max_power", "target_metric", "higher_is_better_metric")


class Results:
    """The results of trainings that asked one service, a file a job; ``state`` None keeps nothing.

    Nothing here raises. A result that cannot be written is said once; of two that come at once both are kept,
    unless the other one takes more than 2 s to write, or the file system has no locks: then one may be lost.
    """

    def __init__(self, state: Path | None, url: str) -> None:
        self._folder = None if state is None else state / FOLDER
        self._url = url

    def remember(self, job: Mapping[str, Any], batch_size: int, cost: float, *, converged: bool) -> None:
        """Keep what a training has cost, in joules, and whether it has converged.

        Args:
            job: What registers the job.
            batch_size: What it was trained with.
            cost: Kept where it has converged.
            converged: Whether it has reached its target.
        """
        if self._folder is None:
            return
        path = self._folder / self._name(job)
        try:
            make(self._folder)
            with holding(self._folder / "lock", PATIENCE_SECONDS):
                known = _read(path)
                known[str(batch_size)] = _with(known.get(str(batch_size)), cost, converged=converged)
                _write(path, {"version": VERSION, "job_id": job["job_id"], "batch_sizes": known})
        except OSError as error:
            say_once(f"What trainings cost cannot be kept in {self._folder}: {error.strerror}.")

    def best(self, job: Mapping[str, Any]) -> int | None:
        """Return the batch size with the lowest mean cost of those that converged, None if none has.

        It is one of the job's, and its last training converged; the mean is of its last 20 that did.
        """
        if self._folder is None:
            return None
        known = _read(self._folder / self._name(job))
        means = {}
        for batch_size in job["batch_sizes"]:
            result = known.get(str(batch_size))
            if result is not None and result["converged"] and result["costs"]:
                means[batch_size] = math.fsum(result["costs"]) / len(result["costs"])
        return min(means, key=means.__getitem__, default=None)

    def _name(self, job: Mapping[str, Any]) -> str:
        terms = [self._url, *(job.get(term) for term in TERMS)]
        return f"{hashlib.sha256(json.dumps(terms).encode()).hexdigest()[:32]}.json"


def _with(result: dict[str, Any] | None, cost: float, *, converged: bool) -> dict[str, Any]:
    """Return the result of a batch size after one more training; ``last`` is in seconds since 1970."""
    costs = [] if result is None else result["costs"]
    if converged and 0 <= cost <= LARGEST_QUANTITY:
        costs = [*costs, float(cost)][-MOST_COSTS:]
    count = 0 if result is None else result["count"]
    return {"count": count + 1, "costs": costs, "converged": converged, "last": time.time()}


def _read(path: Path) -> dict[str, Any]:
    """Return the results by batch size, none where there is no file, or one that is something else."""
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        content = None
    if isinstance(content, dict) and content.get("version") == VERSION and _is_whole(content):
        return dict(content["batch_sizes"])
    say_once(f"{path} does not hold what trainings have cost: it is ignored, and written anew.")
    return {}


def _is_whole(content: Mapping[str, Any]) -> bool:
    results = content.get("batch_sizes")
    return isinstance(results, dict) and all(
        isinstance(result, dict)
        and isinstance(result.get("count"), int)
        and isinstance(result.get("converged"), bool)
        and isinstance(result.get("costs"), list)
        and all(isinstance(cost, (int, float)) and 0 <= cost <= LARGEST_QUANTITY for cost in result["costs"])
        for result in results.values()
    )


def _write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: It cannot be written; what was there still is.
    """
    descriptor, made = tempfile.mkstemp(prefix=path.stem, suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)  # noqa: PTH105 -- which is atomic on Windows too
    except BaseException:
        with suppress(OSError):
            Path(made).unlink()
        raise
    settle(path.parent)
