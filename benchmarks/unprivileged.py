"""Children that refuse to run as root: where this process does, they run as another user.

That user needs a folder within its reach, wherever TMPDIR points.
"""

import os
import pwd
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from msgspec import Struct

from benchmarks.server import ServerFailed

HOST = "127.0.0.1"
USERS = ("postgres", "nobody")
"""Who may run children for root, the best first."""
OPEN_TO_ALL = ("/tmp", "/var/tmp")  # noqa: S108
"""Parents for its temporary folders, where TMPDIR is closed to it."""
LOG_LINES = 15


class User(Struct, frozen=True):
    """Who runs a child; without numbers, whoever runs this process."""

    name: str = "you"
    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        """Give the user a file or a folder."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def reaches(self, folder: Path) -> bool:
        """Tell whether the user may step into a folder."""
        resolved = folder.resolve()
        return self.uid is None or all(
            path.is_dir() and path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents)
        )

    def can_run(self, command: Sequence[str | Path]) -> bool:
        """Tell whether a command can be read and succeeds when the user runs it."""
        try:
            return self.spawn(command, Path("/"), Path(os.devnull)).wait() == 0
        except ServerFailed:
            return False

    def spawn(self, command: Sequence[str | Path], folder: Path, log: Path) -> subprocess.Popen[bytes]:
        """Start a child in a folder; its output goes to the end of a log.

        On Linux the child ends with the thread that started it: let that be one that outlives it.

        Raises:
            ServerFailed: It could not be started.
        """
        with log.open("ab") as output:
            try:
                # S603: the programs are the machine's or the wheel's own.
                return subprocess.Popen(  # noqa: S603
                    [*_ending_with_its_parent(), *command],
                    cwd=folder,
                    env=environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C is for this process, which then stops its children
                    user=self.uid,
                    group=self.gid,
                    extra_groups=None if self.uid is None else [],
                )
            except OSError as error:
                raise ServerFailed(f"{command[0]} as {self.name}: {error.strerror}") from None


def unprivileged_user() -> User:
    """Return who runs the children that refuse to run as root.

    Raises:
        ServerFailed: This process runs as root, and there is no other user.
    """
    if os.geteuid() != 0:
        return User()
    for name in USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise ServerFailed(f"no user named {' or '.join(USERS)}: make one, or run this as another user than root")


@contextmanager
def reachable_folder(user: User) -> Iterator[Path]:
    """Make a temporary folder that a user can reach; delete it at the end.

    Raises:
        ServerFailed: There is no place for one.
    """
    parents = [gettempdir(), *OPEN_TO_ALL]
    parent = next((parent for parent in parents if user.reaches(Path(parent))), None)
    if parent is None:
        raise ServerFailed(
            f"{user.name} can reach none of {', '.join(parents)}: let TMPDIR name a folder open to all"
        )
    with TemporaryDirectory(prefix="batchbandit-", dir=parent) as name:
        folder = Path(name)
        if user.uid is not None:
            folder.chmod(0o711)
        yield folder


def environment() -> dict[str, str]:
    """Return this process's environment without what would bend Postgres or translate its messages."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    return own | {"LC_ALL": "C"}


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def last_words(log: Path, lines: int = LOG_LINES) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _ending_with_its_parent() -> list[str]:
    """Return a prefix for a command that ends it when this process is killed, where there is a means."""
    program = shutil.which("setpriv") if sys.platform == "linux" else None
    if program is None or Path(program).resolve().name != "setpriv":  # BusyBox's cannot
        return []
    return [program, "--pdeathsig", "QUIT", "--"]
