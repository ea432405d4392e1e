"""A client that listens to what happens, as a browser's EventSource does."""

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

import httpx
import msgspec
from msgspec import Struct

from service.clock import utc_now
from service.store import feed
from service.store.databases import run_beside
from service.store.happening import Happening, Kind

PATH = "/api/v1/events"
PATIENCE = 20.0

_numbers = itertools.count(1)


class Told(Struct, frozen=True):
    """An event as a client has it."""

    id: str
    kind: str
    happening: Happening

    @property
    def number(self) -> int:
        """The trial that it is about."""
        return int(self.happening.detail["trial_number"])


class Listening:
    """A stream that is being read; ``last_id`` is where it would go on."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.last_id = ""
        self.comments = 0
        self._lines = answer.iter_lines()
        self._waiting: list[Told] = []

    def begin(self) -> None:
        """Wait until the service knows where to begin."""
        while not self.last_id:
            self._read()

    def told(self, count: int) -> list[Told]:
        """Wait for so many events."""
        deadline = time.monotonic() + PATIENCE
        while len(self._waiting) < count:
            self._read()
            assert time.monotonic() < deadline, self._waiting
        told, self._waiting = self._waiting[:count], self._waiting[count:]
        return told

    def rest(self) -> list[Told]:
        """Read to the end of the stream."""
        try:
            while True:
                self._read()
        except StopIteration:
            return self._waiting

    def _read(self) -> None:
        """Read a block of lines, as section 9.2.6 of the HTML standard has it.

        Raises:
            StopIteration: The stream has ended.
        """
        fields: dict[str, str] = {}
        while line := next(self._lines):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        self.comments += "" in fields
        self.last_id = fields.get("id", self.last_id)
        if "data" in fields:
            happening = msgspec.json.decode(fields["data"], type=Happening)
            self._waiting.append(Told(self.last_id, fields["event"], happening))


@contextmanager
def listening(
    url: str, last_id: str | None = None, token: str | None = None, **query: str
) -> Iterator[Listening]:
    """Listen, from now on or behind an event, until the end of the context."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    with (
        httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, headers=headers) as http,
        http.stream("GET", PATH, params=query) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        stream = Listening(answer)
        if last_id is None and "after" not in query:
            stream.begin()
        yield stream


def happening(
    number: int, job_id: str = "job", moment: datetime | None = None, padding: str = ""
) -> Happening:
    """Return what can be told from others by its number; now, if at no other moment."""
    detail = {"trial_number": number, "padding": padding}
    return Happening(job_id, Kind.TRIAL_ENDED, moment or utc_now(), detail)


def happen(database_url: str, happenings: Sequence[Happening]) -> None:
    """Let this happen beside the service, in one transaction."""
    run_beside(database_url, partial(feed.record, happenings=happenings))


def happen_to(database_url: str, *job_ids: str) -> list[Happening]:
    """Let something new happen to jobs; return it."""
    happenings = [happening(next(_numbers), job_id) for job_id in job_ids]
    happen(database_url, happenings)
    return happenings
