"""What several commands take, and how they refuse."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from service.errors import OpeningError

database_url = click.option(
    "--database-url",
    envvar="BATCHBANDIT_DATABASE_URL",
    default="sqlite+aiosqlite:///batchbandit.db",
    show_default=True,
    show_envvar=True,
    help="The database to use.",
)


class Refused(click.ClickException):
    """An address or a database that cannot be used: its sentence goes to standard error."""

    exit_code = 2


@contextmanager
def refusals_said() -> Iterator[None]:
    """Leave with the sentence of a database that cannot be used."""
    try:
        yield
    except OpeningError as error:
        raise Refused(str(error)) from error
