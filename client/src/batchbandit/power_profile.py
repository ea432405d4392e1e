"""The profile of a power limit: which limits are tried, what they cost, and which is the cheapest."""

from __future__ import annotations

import json
import math
import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

LEAST_STEP = 25.0
"""Watts between two limits at least."""
MOST_STEPS = 8
"""Steps between the highest and the lowest limit at most."""
RISES = 2
"""Times in a row that the cost has to rise before lower limits are no longer tried."""
MEMORY_SECONDS = 30 * 86400.0
"""How long a profile is believed: what a job trains changes with the months."""


class Terms(NamedTuple):
    """What a limit is chosen for.

    ``eta`` is the share of energy in the cost; ``max_power`` that of all GPUs of the job together, in watts.
    """

    job_id: str
    batch_size: int
    eta: float
    max_power: float


class Measured(NamedTuple):
    """What was measured at a limit: steps a second, and watts of all devices together on average."""

    limit: float
    throughput: float
    power: float


def cost_of_step(measured: Measured, eta: float, max_power: float) -> float:
    """Return ``(eta * power + (1 - eta) * max_power) / throughput``, in joules.

    Source: You et al., "Zeus", NSDI '23, equation 2, for one step: the number of steps that a training takes
    depends on its batch size and not on the limit.
    """
    return (eta * measured.power + (1 - eta) * max_power) / measured.throughput


def limits_between(lowest: float, highest: float) -> list[float]:
    """Return the limits to try from the highest down, none below the lowest, all in watts."""
    lowest = min(lowest, highest)
    step = max(LEAST_STEP, 5.0 * math.ceil((highest - lowest) / MOST_STEPS / 5.0))
    return [max(lowest, highest - number * step) for number in range(int((highest - lowest) / step) + 1)]


class Profile:
    """A walk down the limits, which ends early where the cost has risen twice in a row.

    Less power slows a training down ever more, so that past its minimum the cost only rises; two rises, since
    one may be noise. ``measured`` has what was found so far.

    Args:
        limits: At least one, in watts, the highest first.
        eta: The share of energy in the cost.
        max_power: Of all GPUs of the job together, in watts.
    """

    def __init__(self, limits: Sequence[float], eta: float, max_power: float) -> None:
        self.measured: list[Measured] = []
        self._limits = limits
        self._eta = eta
        self._max_power = max_power
        self._rises = 0

    @property
    def is_over(self) -> bool:
        """Whether no limit is left to try."""
        return self._rises == RISES or len(self.measured) == len(self._limits)

    @property
    def limit(self) -> float:
        """The limit to try next, in watts."""
        return self._limits[len(self.measured)]

    @property
    def cheapest(self) -> float:
        """The limit with the lowest cost of those measured, in watts; the highest of several."""
        return min(self.measured, key=self._cost).limit

    def note(self, throughput: float, power: float) -> None:
        """Take what was measured at the limit that was to be tried: steps a second and watts, above 0."""
        measured = Measured(self.limit, throughput, power)
        is_dearer = bool(self.measured) and self._cost(measured) > self._cost(self.measured[-1])
        self._rises = self._rises + 1 if is_dearer else 0
        self.measured.append(measured)

    def _cost(self, measured: Measured) -> float:
        return cost_of_step(measured, self._eta, self._max_power)


class Stretch:
    """Steps of training, with their seconds and joules, without what lies between epochs.

    The meter is read after 1, 2, 4, 8, ... steps, so that an epoch whose end nobody told loses half its steps
    at most, and a stretch may be made of many short epochs. ``end`` is the last reading, None in a pause.

    Args:
        read: Gives the seconds and the joules since some start.
        due: How many steps it is to have.
        end: The reading that it begins with, None where it begins after the next step.
    """

    def __init__(
        self, read: Callable[[], tuple[float, float]], due: int, end: tuple[float, float] | None = None
    ) -> None:
        self.due = due
        self.steps = 0
        self.seconds = 0.0
        self.joules = 0.0
        self.end = end
        self._read = read
        self._unread = 0
        self._read_ones = 0  # steps since the last pause that have been read

    def step(self) -> bool:
        """Count a step that is over, and tell whether it was the last one due."""
        if self.end is None:  # the step before waited for a loader to start, or ran at another limit
            self.end = self._read()
            self._read_ones = 0
            return False
        self._unread += 1
        if self._unread < self._read_ones and self.steps + self._unread < self.due:
            return False
        self._add()
        return self.steps >= self.due

    def pause(self) -> None:
        """End at the step just counted, until the next one."""
        if self.end is not None:
            self._add()
            self.end = None

    def drop(self) -> None:
        """Forget the steps since the last reading, for something else has come after them, and pause."""
        self.end = None
        self._unread = 0

    def _add(self) -> None:
        begin, self.end = self.end, self._read()
        if begin is not None:
            self.seconds += self.end[0] - begin[0]
            self.joules += self.end[1] - begin[1]
        self.steps += self._unread
        self._read_ones += self._unread
        self._unread = 0


class Memory:
    """Remembers the cheapest limit for the next recurrence: a small file for each question.

    Args:
        folder: Where the files are; made when something is to be remembered.
        question: What the answer depends on: anything that JSON can say.
    """

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        self._question = json.loads(json.dumps(question))
        name = sha256(json.dumps(self._question, sort_keys=True).encode()).hexdigest()[:32]
        self._path = folder / f"profile-{name}.json"

    def recall(self, now: float) -> float | None:
        """Return the limit in watts; None where it is not known, or was found too long before ``now``."""
        try:
            known = json.loads(self._path.read_text(encoding="utf-8"))
            is_fresh = 0 <= now - float(known["at"]) <= MEMORY_SECONDS
            limit = float(known["limit"])
            is_allowed = limit in self._question["limits"]
            return limit if is_fresh and is_allowed and known["question"] == self._question else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self, limit: float, measured: Sequence[Measured], now: float) -> None:
        """Remember a limit, with what was measured.

        Raises:
            OSError: It cannot be written.
        """
        known = {"question": self._question, "limit": limit, "measured": measured, "at": now}
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(known, indent=1), encoding="utf-8")
        draft.replace(self._path)
