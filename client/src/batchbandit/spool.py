"""The journals of a machine's trainings: those that live write to them, those that died have left them."""

from __future__ import annotations

import os
import re
import secrets
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from batchbandit.folders import state_folder
from batchbandit.journals import (
    Header,
    Journal,
    NewerJournal,
    UnreadableJournal,
    UnwrittenJournal,
    begun,
    opened,
)
from batchbandit.lines import forget, put_away
from batchbandit.locks import Held, hold, holding
from batchbandit.notices import say_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER = "spool"
UNREADABLE = "unreadable"
SUFFIX = ".jsonl"
LOCK = "delivery.lock"
SILENT_SECONDS = 7 * 86400.0
"""How long nothing is written to a journal without an end before it counts as abandoned, without locks."""

_USER = re.compile(r"^([^/?#]*//)[^/?#]*@")


class Spool:
    """The folder of journals in a state folder; None keeps them in memory."""

    def __init__(self, state: Path | None) -> None:
        self._folder = None if state is None else state / FOLDER

    @classmethod
    def open(cls) -> Spool:
        """Return the spool of the state folder."""
        return cls(state_folder())

    def create(self, header: Header) -> Journal:
        """Return the journal of a training that begins; its file appears with the first event."""
        header = replace(header, url=_USER.sub(r"\1", header.url))  # it may have a token, which is no file's
        if self._folder is None:
            return begun(header, None)
        # Sorted by name, journals are in the order in which they were begun.
        name = f"{time.time_ns():020}-{os.getpid()}-{secrets.token_hex(4)}{SUFFIX}"
        return begun(header, self._folder / name)

    def abandoned(self, url: str | None = None) -> Iterator[Journal]:
        """Give the journals that no process writes to, in the order in which they were begun.

        Those for the service at a URL, or all. Each is this process's until the next one is asked for.
        """
        for path in self.waiting():
            journal = _opened(path)
            if journal is not None:
                try:
                    if url is None or journal.url == url:
                        yield journal
                finally:
                    journal.close()

    def urls(self) -> list[str]:
        """Return the URLs of the services that abandoned journals are for, the longest awaited first."""
        return list(dict.fromkeys(journal.url for journal in self.abandoned()))

    def waiting(self) -> list[Path]:
        """Return the files of all journals, those of trainings that live among them, in that order."""
        if self._folder is None:
            return []
        try:
            names = sorted(os.listdir(self._folder))  # noqa: PTH208 -- names sort as text
        except OSError:
            return []
        return [self._folder / name for name in names if name.endswith(SUFFIX)]

    @contextmanager
    def delivering(self) -> Iterator[bool]:
        """Keep others from delivering these journals at the same time; give whether nobody does yet."""
        if self._folder is None:
            yield True
            return
        with holding(self._folder / LOCK) as is_alone:
            yield is_alone


def _opened(path: Path) -> Journal | None:
    held = None
    journal = None
    try:
        held = hold(path)
        journal = None if held is None else _read(path, held)
    except OSError:  # it is another user's, or has just been removed
        pass
    finally:
        if held is not None and journal is None:
            held.close()
    return journal


def _read(path: Path, held: Held) -> Journal | None:
    """Return the journal in a file, None where it is not abandoned or there is none in it."""
    is_silent = held.is_locked or time.time() - os.fstat(held.descriptor).st_mtime > SILENT_SECONDS
    try:
        journal = opened(path, held)
    except NewerJournal:
        return None
    except UnwrittenJournal:
        if is_silent:
            forget(path)
        return None
    except UnreadableJournal as flaw:
        if is_silent:
            _set_aside(path, str(flaw))
        return None
    return journal if is_silent or journal.is_ended else None


def _set_aside(path: Path, sentence: str) -> None:
    kept = put_away(path, UNREADABLE, sentence)
    where = f"It is in {kept} now." if kept else f"It stays in {path}."
    say_once(f"A journal of reports that wait for the service cannot be read: {sentence} {where}")
