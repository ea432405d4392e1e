"""The program in a terminal of a size, as a person sees it."""

import fcntl
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from tests.service.commands.conftest import PROGRAM

ROWS = 50


class Seen(NamedTuple):
    """What stood in the terminal, and the exit code."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        """The lines."""
        return self.text.replace("\r\n", "\n").splitlines()


def in_terminal(
    *arguments: str,
    columns: int = 100,
    typed: str = "",
    piped: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Seen:
    """Run the program in a terminal; where ``piped``, its standard output goes elsewhere."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
    variables = {"TERM": "xterm-256color"} | dict(environment or {})
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        stdin=theirs,
        stdout=subprocess.DEVNULL if piped else theirs,
        stderr=theirs,
        env={**_without(os.environ, ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "COLORTERM")), **variables},
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    seen = bytearray()
    with suppress(OSError):  # what a terminal says whose programs have all ended
        while part := os.read(ours, 65536):
            seen += part
    os.close(ours)
    return Seen(process.wait(60), seen.decode())


def _without(environment: "os._Environ[str]", names: Sequence[str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name not in names}
