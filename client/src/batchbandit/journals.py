"""What a training has to tell the service, kept until it has been told.

A journal is a file of JSON lines. The first is its header; of the others each has one member:

    {"report": {...}}         an epoch, as ``POST /report`` takes it, without the trial's name
    {"end": {"reason": ...}}  the training has ended
    {"trial_number": 7}       the trial's number at the service, where the header could not know it
    {"delivered": 3}          the first three reports need not be sent any more
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from batchbandit.lines import Lines, forget, put_away, read
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from batchbandit.locks import Held

VERSION = 1
_FIRST = b'{"version":'
REFUSED = "refused"


class UnreadableJournal(ValueError):
    """A file that is no journal."""


class UnwrittenJournal(ValueError):
    """A journal whose process died before its first line was whole: nothing is in it."""


class NewerJournal(ValueError):
    """A journal of a newer release."""


@dataclass(frozen=True)
class Header:
    """Whose reports a journal holds.

    ``url`` is the service's, without user info; ``job`` is what registers the job. ``key`` is the idempotency
    key with which a trial is begun where there is no ``trial_number``, ``asked`` that of a suggestion whose
    answer was lost, so that the service may have dispatched a trial that nobody trains.
    """

    url: str
    job: Mapping[str, Any]
    batch_size: int
    key: str
    trial_number: int | None = None
    asked: str | None = None


class Journal:
    """The journal of one training, which a signal's handler may add to; in a forked child it does nothing."""

    def __init__(self, header: Header, lines: Lines, *, is_live: bool) -> None:
        self.is_live = is_live
        self.url, self.job, self.batch_size, self.key = header.url, header.job, header.batch_size, header.key
        self.trial_number, self.asked = header.trial_number, header.asked
        self.reports: list[Mapping[str, Any]] = []
        self.delivered = 0
        self.is_ended = False
        self.reason: str | None = None
        self._lines = lines

    @property
    def job_id(self) -> str:
        """The job's name."""
        return str(self.job["job_id"])

    def append(self, event: Mapping[str, Any]) -> None:
        """Add an event; it is on disk when this returns, where the disk allows it.

        Raises:
            UnreadableJournal: There is no such event.
        """
        self.take(event)
        self._lines.append(encoded(event))

    def undelivered(self) -> Sequence[Mapping[str, Any]]:
        """Return the reports that are still to be sent, in their order."""
        return self.reports[self.delivered :]

    def mark(self, delivered: int) -> None:
        """Note that the first so many reports need not be sent any more."""
        if delivered != self.delivered:
            self.append({"delivered": delivered})

    def remove(self) -> None:
        """Let go of the file and remove it: all is delivered."""
        path = self._lines.release()  # first, since Windows removes no open file
        if path is not None:
            forget(path)

    def refuse(self, sentence: str) -> None:
        """Let go of the file and put it away with what the service said; say where it is."""
        path = self._lines.release()
        kept = None if path is None else put_away(path, REFUSED, sentence)
        where = f"What it did not take is in {kept}." if kept else "What it did not take is lost."
        say_once(f"{self.url} refused the reports of a training of {self.job_id}: {sentence} {where}")

    def close(self) -> None:
        """Let go of the file, which whoever comes next delivers."""
        self._lines.release()

    def take(self, event: Mapping[str, Any]) -> None:
        """Learn of an event without writing it.

        Raises:
            UnreadableJournal: There is no such event.
        """
        kind, value = _only_member(event)
        if kind == "report" and isinstance(value, dict):
            self.reports.append(value)
        elif kind == "end" and isinstance(value, dict):
            self.is_ended, self.reason = True, value.get("reason")
        elif kind == "trial_number" and _is_count(value):
            self.trial_number = value
        elif kind == "delivered" and _is_count(value):
            self.delivered = value
        else:
            raise UnreadableJournal("One of its lines is no event.")


def begun(header: Header, path: Path | None) -> Journal:
    """Return the journal of a training that begins; its file appears with the first event."""
    return Journal(header, Lines(path, [encoded({"version": VERSION, **asdict(header)})]), is_live=True)


def opened(path: Path, held: Held) -> Journal:
    """Return the journal in a file that this process holds, as far as it was written whole.

    Raises:
        OSError: The file cannot be read.
        UnreadableJournal: It holds something else.
        UnwrittenJournal: It holds nothing yet.
        NewerJournal: A newer release has written it.
    """
    text = read(held)
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines.pop()
    if not lines and text[: len(_FIRST)] == _FIRST[: len(text)]:
        raise UnwrittenJournal
    while lines and _decoded(lines[-1]) is None:  # a power cut may leave zeros, and a newline after them
        lines.pop()
    events = [_decoded(line) for line in lines]
    journal = Journal(_header_of(events[0] if events else None), Lines(path, lines, held), is_live=False)
    for event in events[1:]:
        journal.take(event or {})
    return journal


def _header_of(line: dict[str, Any] | None) -> Header:
    members: dict[str, Any] = line or {}
    version = members.get("version")
    if _is_count(version) and version != VERSION:
        raise NewerJournal(f"It is of version {version}.")
    header: dict[str, Any] = {field.name: members.get(field.name) for field in fields(Header)}
    number, asked = header["trial_number"], header["asked"]
    is_whole = (
        version == VERSION
        and isinstance(header["url"], str)
        and isinstance(header["job"], dict)
        and isinstance(header["job"].get("job_id"), str)
        and _is_count(header["batch_size"])
        and isinstance(header["key"], str)
        and (number is None or _is_count(number))
        and (asked is None or isinstance(asked, str))
    )
    if not is_whole:
        raise UnreadableJournal("It does not begin with a header.")
    return Header(**header)


def encoded(event: Mapping[str, Any]) -> bytes:
    """Return an event as a line."""
    return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def _only_member(event: Mapping[str, Any]) -> tuple[str, Any]:
    return next(iter(event.items())) if len(event) == 1 else ("", None)


def _decoded(line: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) else None


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
