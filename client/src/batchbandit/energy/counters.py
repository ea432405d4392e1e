"""What a device's energy counter and power samples say together, whatever faults they have.

The rules, each of which is told, and never counts a joule that was not measured:

- A counter that grows is believed while it grows by no more than ``MARGIN`` times what power samples say, or
  where there are none, what the highest power allows since it was last read. Growth is taken from the last
  reading believed, so that readings that failed lose nothing.
- A counter of known range that is lower than before has wrapped, if that growth can be. After so long that
  it may have wrapped more than once, only what is sure is counted, and the figure has a flaw.
- A step back by less than a second of highest power is a wobble: nothing is counted until it is made up for.
- A reading that cannot be is held back. If the next one fits those before it, it never was; if the next one
  follows on it instead, the counter has begun anew there, and only power samples can tell what was between.
- A counter that stands still while power is drawn is frozen, and power samples take its place. When it moves
  again by as much as they say, it had caught up; by less, it had not counted, and theirs is the figure.
- Power samples are integrated by the trapezoid rule, and not over a gap longer than ``LONGEST_GAP_SECONDS``.

What neither covers is missing from the figure, and its flaw says so.
"""

from __future__ import annotations

import math
from typing import NamedTuple

MARGIN = 2.0
"""Times the highest power that is believed: GPUs exceed their limit for moments."""
SLACK_SECONDS = 1.0
"""How late a counter may be brought up to date."""
WOBBLE_SECONDS = 1.0
FROZEN_SECONDS = 5.0
FROZEN_UNSEEN_SECONDS = 30.0
"""The same where no power sample tells whether power is drawn."""
FROZEN_JOULES = 1.0
"""What the samples must say was drawn meanwhile; a device that is asleep is not frozen."""
CAUGHT_UP = 0.8
LONGEST_GAP_SECONDS = 10.0
TOLERATED_SECONDS = 2.0
"""What may be unmeasured of a whole figure without a flaw."""


class Reading(NamedTuple):
    """What a device said at a moment of a monotonic clock; None is what could not be read."""

    seconds: float
    counter: float | None
    """Joules since a moment of the device's own."""
    watts: float | None = None


class Bridge:
    """The energy of power samples since a moment, and the seconds that they do not cover."""

    def __init__(self) -> None:
        self.joules = 0.0
        self._since = 0.0
        self._gaps = 0.0
        self._last: tuple[float, float] | None = None

    def begin(self, seconds: float) -> None:
        """Forget what was before a moment; the last sample before it still tells the power at it."""
        self.joules = self._gaps = 0.0
        self._since = seconds

    def add(self, seconds: float, watts: float) -> None:
        """Add a sample."""
        before, self._last = self._last, (seconds, watts)
        if before is None or seconds - before[0] > LONGEST_GAP_SECONDS:
            self._gaps += seconds - max(self._since, before[0] if before else self._since)
        elif seconds > before[0]:
            begin = max(before[0], self._since)
            slope = (watts - before[1]) / (seconds - before[0])
            at_begin = before[1] + slope * (begin - before[0])
            self.joules += (at_begin + watts) / 2 * (seconds - begin)

    def missing(self, now: float) -> float:
        """Return the seconds until now that no sample covers."""
        return self._gaps + now - max(self._since, self._last[0] if self._last else self._since)


class Tally:
    """The joules of one device since its first reading: never negative, never less than before.

    Args:
        limit_watts: The highest power that the device is known to draw; above 0, and finite.
        range_joules: Where its counter starts over at 0; None where that is not known, or never comes.
        has_counter: Whether it has one; without, power samples are all there is.
    """

    def __init__(
        self, limit_watts: float, *, range_joules: float | None = None, has_counter: bool = True
    ) -> None:
        self.joules = 0.0
        self.is_lost = False
        self.news: list[tuple[str, str]] = []
        """What was detected and not yet told: a fault's name and a sentence; whoever tells it clears it."""
        self._limit = limit_watts
        self._range = range_joules
        self._has_counter = has_counter
        self._now: float | None = None
        self._seen = 0.0  # when the counter was last read and believed
        self._anchor: tuple[float, float] | None = None  # the last such reading that had moved
        self._settled = 0.0  # joules up to the anchor
        self._missed_seconds = 0.0  # up to the anchor too
        self._is_mixed = False  # whether some of them are of power samples
        self._suspect: tuple[float, float] | None = None
        self._is_unread = True
        self._is_frozen = False
        self._bridge = Bridge()  # since the anchor
        self._flaws: dict[str, str] = {}

    @property
    def is_suspicious(self) -> bool:
        """Whether the last reading could not be, so that another one should follow at once."""
        return self._suspect is not None

    @property
    def is_bridged(self) -> bool:
        """Whether power samples stand in for the counter, and should be taken often."""
        return not self.is_lost and (self._is_unread or self._is_frozen or self._suspect is not None)

    @property
    def uses_power(self) -> bool:
        """Whether some of the joules are of power samples."""
        return self._is_mixed or self.joules > self._settled

    @property
    def flaw(self) -> str | None:
        """Sentences on what is missing from the joules, None where nothing is."""
        missing = [self._unmeasured()] if self._missing_seconds() > TOLERATED_SECONDS else []
        return " ".join([*self._flaws.values(), *missing]) or None

    def add(self, reading: Reading) -> None:
        """Take in a reading, no earlier than the one before."""
        now = reading.seconds
        if self._now is None:
            self._bridge.begin(now)
        self._now = now
        if reading.watts is not None and 0 <= reading.watts <= MARGIN * self._limit:
            self._bridge.add(now, reading.watts)
        counter = reading.counter
        if counter is None or not 0 <= counter < math.inf:
            self._miss()
        else:
            self._is_unread = False
            self._judge(now, counter)
        bridged = self._bridge.joules if self.is_bridged else 0.0
        self.joules = max(self.joules, self._settled + bridged)
        if self._missing_seconds() > TOLERATED_SECONDS:
            self._tell("unmeasured", self._unmeasured())

    def lose(self, sentence: str) -> None:
        """Note that the device is gone: what was measured until now is all there will be."""
        self.is_lost = True
        self._damage("lost", sentence)

    def _missing_seconds(self) -> float:
        pending = self._bridge.missing(self._now) if self.is_bridged and self._now is not None else 0.0
        return self._missed_seconds + pending

    def _unmeasured(self) -> str:
        return f"Nothing measured it for {self._missing_seconds():.0f} s."

    def _miss(self) -> None:
        self._is_unread = True
        if self._has_counter:
            self._tell("unread", "Its energy counter could not be read.")

    def _judge(self, now: float, counter: float) -> None:
        if self._anchor is None:
            self._close_gap(now)
            self._put_anchor(now, counter)
        elif self._may_have_wrapped_twice(now):
            self._damage("unsure", f"Its counter was not read for {now - self._seen:.0f} s: too long.")
            self._close_gap(now, max(counter - self._anchor[1], 0.0))
            self._put_anchor(now, counter)
        else:
            self._compare(now, counter, self._anchor)

    def _compare(self, now: float, counter: float, anchor: tuple[float, float]) -> None:
        """Take a reading to follow on the anchor, or on the one held back if it has grown less since that."""
        unseen = min(self._bridge.missing(now), now - self._seen)
        most = MARGIN * self._bridge.joules + self._most(unseen)
        growth = self._growth(anchor[1], counter, most)
        suspect, self._suspect = self._suspect, None
        other = suspect and self._growth(suspect[1], counter, self._most(now - suspect[0]))
        if suspect is not None and other is not None and (growth is None or other < growth):
            self._tell("anew", f"Its energy counter began anew at {suspect[1]:.6g} J.")
            self._close_gap(now, other)
            self._put_anchor(now, counter)
        elif growth is None:
            self._tell("implausible", f"Its energy counter said {counter:.6g} J, which cannot be.")
            self._suspect = (now, counter)
        elif growth > 0:
            self._settle(now, growth)
            self._put_anchor(now, counter)
        else:
            self._stand(now, now - anchor[0])

    def _may_have_wrapped_twice(self, now: float) -> bool:
        return self._range is not None and self._most(now - self._seen) >= self._range

    def _most(self, seconds: float) -> float:
        """Return the most joules that a counter may grow by in so long."""
        return MARGIN * self._limit * (seconds + SLACK_SECONDS)

    def _growth(self, before: float, counter: float, most: float) -> float | None:
        """Return by how many joules a counter has grown, None where that is more than can be."""
        growth = counter - before
        if growth < 0 and self._range is not None and growth + self._range <= most:
            return growth + self._range
        if -WOBBLE_SECONDS * self._limit <= growth < 0:
            self._tell("backwards", f"Its energy counter went back by {-growth:.3g} J.")
            return 0.0
        return growth if 0 <= growth <= most else None

    def _settle(self, now: float, growth: float) -> None:
        drawn = self._bridge.joules
        if self._is_frozen and (drawn == 0 or growth < CAUGHT_UP * drawn):
            self._close_gap(now, growth)
        else:
            self._settled += growth

    def _close_gap(self, now: float, growth: float = 0.0) -> None:
        """Settle what power samples say up to now, where no more than some growth is sure of the counter."""
        self._missed_seconds += self._bridge.missing(now)
        self._settled += max(self._bridge.joules, growth)
        self._is_mixed = self._is_mixed or self._bridge.joules > growth

    def _put_anchor(self, now: float, counter: float) -> None:
        self._anchor = (now, counter)
        self._seen = now
        self._suspect = None
        self._is_frozen = False
        self._bridge.begin(now)

    def _stand(self, now: float, seconds: float) -> None:
        """Take note of a counter that has stood for so long, and may be frozen."""
        self._seen = now
        if self._bridge.missing(now) < seconds:
            is_frozen = seconds >= FROZEN_SECONDS and self._bridge.joules >= FROZEN_JOULES
        else:
            is_frozen = seconds >= FROZEN_UNSEEN_SECONDS
        if is_frozen:
            self._is_frozen = True
            self._tell("frozen", f"Its energy counter has stood still for {seconds:.0f} s.")

    def _tell(self, fault: str, sentence: str) -> None:
        self.news.append((fault, sentence))

    def _damage(self, fault: str, sentence: str) -> None:
        self._flaws[fault] = sentence
        self._tell(fault, sentence)
