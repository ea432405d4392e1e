"""What several commands take, and how they refuse."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import click

from service.errors import OpeningError

HOST_NAME = re.compile(r"\*|(\*\.)?[\w-]+(\.[\w-]+)*")

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


class HostName(click.ParamType[str]):
    """A name that a service goes by: ``bandit.example.org``, ``*.example.org`` or ``*``."""

    name = "name"
    envvar_list_splitter = ","

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name, as it is compared."""
        name = value.strip().lower().removesuffix(".")
        if not HOST_NAME.fullmatch(name):
            self.fail(
                f"{value!r} is no name; write one like bandit.example.org, *.example.org or *", param, ctx
            )
        return name
