"""Processes of one training that meet in a folder which all of them see.

Rank 0 makes a session, a folder with a name drawn at random. Each other rank says hello with an empty file
of a random name; rank 0 puts the session's name into it, and the rank says in the session that it is here.
So files of earlier runs, whose names nobody knows any more, are never taken for this run's. In the session
each message is a file, named by its number and its sender, that appears whole by a rename. The last rank to
leave removes the session; that of a run one of whose ranks was killed stays.
"""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import stat
import tempfile
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batchbandit.errors import OutOfOrder
from batchbandit.log import log

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from batchbandit.launchers import Place

FOLDER = "BATCHBANDIT_RANKS_DIR"
"""The variable with a folder that all ranks see."""
PATIENCE_SECONDS = 1800.0
"""How long a rank is waited for, which may be loading or validating: as long as torch.distributed waits."""
SHORTEST_PAUSE = 0.001
LONGEST_PAUSE = 0.1


class FolderRanks:
    """Processes that meet in a folder at the first ``share`` or ``gather``.

    A rank that has left, or does not come within ``patience_seconds``, is said to be missing, once, and is
    not waited for again; what it still says is heard. Where rank 0 does not come at first, or the folder
    fails, a rank goes on with its own values alone.

    Args:
        rank: This process, from 0.
        size: How many processes there are.
        folder: One that is there, for any number of runs.
        run: The name of the run, the same for all ranks.
        patience_seconds: How long a rank is waited for.
    """

    def __init__(
        self, rank: int, size: int, folder: Path, run: str, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self.rank = rank
        self.size = size
        self._folder = folder
        self._run = f"batchbandit-{sha256(run.encode()).hexdigest()[:16]}"
        self._patience = patience_seconds
        self._session: Path | None = None
        self._has_met = False
        self._message = 0
        self._unneeded: list[Path] = []  # messages that some rank may not have read yet
        self._missing: set[int] = set()

    def share(self, value: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the value of rank 0; one's own where it does not come."""
        self._begin_message()
        if self.rank == 0:
            self._send(value)
            return value
        return self._receive(0, value)

    def gather(self, value: Any) -> list[Any]:  # noqa: ANN401 - JSON
        """Return the values of all in the order of ranks, None for each that does not come."""
        self._begin_message()
        read_before = self._unneeded
        self._unneeded = []
        self._send(value)
        values = [value if rank == self.rank else self._receive(rank, None) for rank in range(self.size)]
        if self._missing:
            self._unneeded += read_before
        else:
            for message in read_before:  # all have come here, and past these
                message.unlink(missing_ok=True)
        return values

    def _begin_message(self) -> None:
        self._message += 1
        if self._has_met:
            return
        self._has_met = True
        try:
            self._session = self._invite() if self.rank == 0 else self._join()
        except OSError as error:
            self._go_on_alone(error)
        if self._session is not None:
            atexit.register(self._leave, self._session, os.getpid())

    def _send(self, value: Any) -> None:  # noqa: ANN401 - JSON
        if self._session is None:
            return
        message = self._session / f"{self._message}-{self.rank}"
        try:
            _put(message, json.dumps(value))
        except OSError as error:
            self._go_on_alone(error)
        self._unneeded.append(message)

    def _receive(self, rank: int, default: Any) -> Any:  # noqa: ANN401 - JSON
        if self._session is None:
            return default
        name = f"{self._message}-{rank}"
        for _ in _tries(0.0 if rank in self._missing else self._patience):
            names = _names(self._session)
            text = _text(self._session / name) if name in names else ""
            if text:
                return json.loads(text)
            if f"gone-{rank}" in names or not names:  # one that is in use is not empty
                break
        self._miss(rank)
        return default

    def _invite(self) -> Path:
        """Answer each rank that says hello until all are here; return the session."""
        session = self._folder / f"{self._run}-{secrets.token_hex(8)}"
        session.mkdir()
        others = set(range(1, self.size))
        answered: dict[Path, int] = {}
        here: set[int] = set()
        for _ in _tries(self._patience):
            # The hellos first: one that a rank says for its next session is said when it is here in this one.
            hellos = list(self._folder.glob(f"{self._run}-hello-*-*"))
            here = {rank for rank in others if f"here-{rank}" in _names(session)}
            if here == others:
                break
            for hello in hellos:
                rank = int(hello.name.rsplit("-", 2)[1])
                if rank in others - here and hello not in answered:
                    answered[hello] = rank
                    _put(hello, session.name)
        for rank in sorted(others - here):
            self._miss(rank)
        for hello in (hello for hello, rank in answered.items() if rank in here):
            hello.unlink(missing_ok=True)  # an earlier run's
        return session

    def _join(self) -> Path | None:
        """Say hello and wait for rank 0; return its session, None where it does not come."""
        hello = self._folder / f"{self._run}-hello-{self.rank}-{secrets.token_hex(8)}"
        hello.touch()
        try:
            for _ in _tries(self._patience):
                answer = _text(hello)
                if answer:
                    (self._folder / answer / f"here-{self.rank}").touch()
                    return self._folder / answer
        finally:
            hello.unlink(missing_ok=True)
        self._miss(0)
        return None

    def _leave(self, session: Path, process: int) -> None:
        """Say that this rank has left; the last one removes the session. A forked child is no rank."""
        if os.getpid() != process:
            return
        with suppress(OSError):
            (session / f"gone-{self.rank}").touch()
            if {f"gone-{rank}" for rank in range(self.size)} <= _names(session):
                shutil.rmtree(session)

    def _miss(self, rank: int) -> None:
        if rank in self._missing:
            return
        self._missing.add(rank)
        log.warning("Rank %d goes on without rank %d, which is not heard of any more.", self.rank, rank)

    def _go_on_alone(self, error: OSError) -> None:
        self._session = None
        log.warning("Rank %d goes on alone: the ranks cannot meet in %s: %s", self.rank, self._folder, error)


def find_folder(place: Place, environment: Mapping[str, str]) -> Path:
    """Return the folder where the ranks of a run meet, made where it is missing.

    It is that of ``BATCHBANDIT_RANKS_DIR``, or where all are on one host one for temporary files.

    Raises:
        OutOfOrder: There is none that all ranks see, it cannot be written to, or nothing names the run.
    """
    if place.run is None:
        raise OutOfOrder(
            f"There are {place.size} ranks, and nothing names their run: set MASTER_ADDR and MASTER_PORT, or "
            "call torch.distributed.init_process_group() before the trial."
        )
    named = environment.get(FOLDER)
    if not named and not place.is_one_host:
        raise OutOfOrder(
            f"There are {place.size} ranks on several hosts: call torch.distributed.init_process_group() "
            f"before the trial, or set {FOLDER} to a folder that all of them see."
        )
    folder = Path(named) if named else _temporary_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _check_writable(folder)
    except OSError as error:
        raise OutOfOrder(
            f"The ranks cannot meet in {folder}: {error.strerror}. Set {FOLDER} to another folder that all "
            "of them see."
        ) from error
    return folder


def _temporary_folder() -> Path:
    """Return a folder for temporary files that is this user's alone."""
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / f"batchbandit-ranks-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or (user is not None and found.st_uid != user):
        raise OutOfOrder(f"{folder} is somebody else's. Set {FOLDER} to a folder that all ranks see.")
    return folder


def _check_writable(folder: Path) -> None:
    probe = folder / f"probe-{secrets.token_hex(8)}"
    probe.touch()
    probe.unlink()


def _put(path: Path, text: str) -> None:
    """Let a file appear with all of its text at once."""
    draft = path.with_name(f"draft-{secrets.token_hex(8)}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _text(path: Path) -> str:
    """Return the text of a file, none where it cannot be read, or not yet."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _names(folder: Path) -> set[str]:
    """Return what is in a folder; listed, as a network file system may remember what was not there."""
    try:
        return {path.name for path in folder.iterdir()}
    except OSError:
        return set()


def _tries(seconds: float) -> Iterator[None]:
    """Yield at once, after ever longer pauses, and when the time is up."""
    deadline = time.monotonic() + seconds
    pause = SHORTEST_PAUSE
    while True:
        yield
        left = deadline - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE)
