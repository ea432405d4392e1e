"""How a command ends: its exit code, and the sentence where it is not well."""

from enum import IntEnum

import click

from service.logs import printable


class Exit(IntEnum):
    """What a command's exit code says."""

    DONE = 0
    FOUND = 1
    UNUSABLE = 2
    NOT_FOUND = 3
    REFUSED = 4
    NOT_ALLOWED = 5
    UNAVAILABLE = 6
    INTERRUPTED = 130
    UNREAD = 141


EXIT_CODES = """\b
Exit codes:
    0  done
    1  db check has found something
    2  wrong usage, or a database, file or address that cannot be used
    3  there is no such job, trial or token
    4  refused, by the service or by you when you were asked
    5  not allowed: the token is missing, revoked, or for something else
    6  no service can be reached, or it cannot answer now
  130  interrupted, as with Ctrl-C
  141  who read the output has gone
"""


class Failed(click.ClickException):
    """A command that ends with a code other than 0: its sentence goes to standard error."""

    def __init__(self, code: Exit, sentence: str) -> None:
        super().__init__(printable(sentence))
        self.exit_code = code.value  # type: ignore[misc]  # click's own do so too
