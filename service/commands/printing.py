"""What commands print: for people tables, on a terminal in colour; for programs a JSON object a line."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

import click
import msgspec
from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

UNBOUNDED = 100_000
"""Columns where nobody looks through a window: what is read by a program is never cut."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")


def printable(text: str) -> str:
    """Return a text with what could steer a terminal written out."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()
        for char in text
    )


def print_json(value: object) -> None:
    """Print a record as one line of JSON, alone on standard output."""
    click.echo(msgspec.json.encode(value))


def standard_output() -> Console:
    """Return what people read."""
    return _console(sys.stdout)


def standard_error() -> Console:
    """Return where notes and progress go."""
    return _console(sys.stderr)


def _console(file: IO[str]) -> Console:
    # Nothing is marked up: names of jobs may look like it.
    console = Console(file=file, markup=False, highlight=False, emoji=False, soft_wrap=False)
    if os.environ.get("NO_COLOR"):
        console = Console(file=file, markup=False, highlight=False, emoji=False, color_system=None)
    if not console.is_terminal and not os.environ.get("COLUMNS"):
        console.width = UNBOUNDED
    return console


def show(*shown: RenderableType, style: str | None = None) -> None:
    """Print what people read: on a terminal as wide as that is, else without spaces at the ends of lines."""
    console = standard_output()
    with console.capture() as captured:
        for each in shown:
            console.print(each, style=style)
    text = captured.get()
    if not console.is_terminal:
        text = "".join(f"{line.rstrip()}\n" for line in text.splitlines())
    # What the encoding of a terminal lacks is written out.
    click.echo(text.encode(console.encoding, "backslashreplace"), nl=False)


def table(*headings: str, numbers: tuple[str, ...] = (), names: tuple[str, ...] = ()) -> Table:
    """Return an empty table; columns of ``numbers`` are set to the right, ``names`` are never cut."""
    ruled = box.SIMPLE_HEAD if standard_output().is_terminal else None
    made = Table(box=ruled, show_edge=False, pad_edge=False)
    for heading in headings:
        made.add_column(
            heading,
            justify="right" if heading in numbers else "left",
            overflow="fold" if heading in names else "ellipsis",
            no_wrap=heading not in names,
        )
    return made


def grid() -> Table:
    """Return an empty list of what is called what."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


Advance = Callable[[int], None]


@contextmanager
def progress(what: str, total: int | None, *columns: ProgressColumn) -> Iterator[Advance]:
    """Show how far something long is, on standard error and only on a terminal; yield what moves it on."""
    console = standard_error()
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *columns,
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=total)
        yield lambda steps: bar.advance(task, steps)
