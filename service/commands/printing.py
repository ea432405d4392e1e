"""What commands print: for people tables, on a terminal in colour; for programs a JSON object a line."""

import os
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import IO

import click
import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from service.views import figures

UNBOUNDED = 100_000
"""Columns where nobody looks through a window: what is read by a program is never cut."""
GAP = 2
"""Columns between those of a list."""
LEAST_NAME = 12
"""Columns that a name has before it goes on in a further line."""

TYPED = str.maketrans({figures.MINUS: "-", figures.NONE: "-", "±": "+-"})
"""How figures are written where there are no such signs."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, an object a line.")


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
    if console.options.ascii_only:
        text = text.translate(TYPED)
    # What else the encoding of a terminal lacks is written out.
    click.echo(text.encode(console.encoding, "backslashreplace"), nl=False)


class Listing:
    """Rows under headings, no wider than a terminal: where it is narrow, the ``spare`` columns go one by one.

    Columns of ``numbers`` are set to the right, ``names`` go on in a further line rather than being cut.
    """

    def __init__(
        self,
        *headings: str,
        numbers: Collection[str] = (),
        names: Collection[str] = (),
        spare: Sequence[str] = (),
    ) -> None:
        self._headings = headings
        self._numbers, self._names, self._spare = numbers, names, spare
        self._rows: list[tuple[tuple[str | Text, ...], str]] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row, a cell a heading."""
        self._rows.append((cells, style))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Lay out what there is room for."""
        shown = self._columns_within(options.max_width)
        ruled = box.SIMPLE_HEAD if console.is_terminal else None
        made = Table(box=ruled, show_edge=False, pad_edge=False, collapse_padding=ruled is not None)
        for heading in (self._headings[column] for column in shown):
            made.add_column(
                heading,
                justify="right" if heading in self._numbers else "left",
                overflow="fold" if heading in self._names else "ellipsis",
                no_wrap=heading not in self._names,
            )
        for cells, style in self._rows:
            made.add_row(*(cells[column] for column in shown), style=style)
        yield made

    def _columns_within(self, width: int) -> list[int]:
        """Return the columns that fit into a width, where names have at least a part of it."""
        longest = max(LEAST_NAME, width // 4)
        widths = [
            max(map(cell_len, (heading, *(str(cells[column]) for cells, _ in self._rows))))
            for column, heading in enumerate(self._headings)
        ]
        needed = {
            heading: min(widths[column], longest) if heading in self._names else widths[column]
            for column, heading in enumerate(self._headings)
        }
        for spare in self._spare:
            if sum(needed.values()) + GAP * (len(needed) - 1) <= width:
                break
            del needed[spare]
        return [column for column, heading in enumerate(self._headings) if heading in needed]


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
