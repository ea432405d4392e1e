"""Tables as Markdown has them."""

from collections.abc import Sequence

from msgspec import Struct


class Table(Struct, frozen=True):
    """A table: its first column is text, the others are figures."""

    headings: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]

    def markdown(self) -> str:
        """Return it as Markdown."""
        rule = ("---", *("---:" for _ in self.headings[1:]))
        return "\n".join(_row(cells) for cells in (self.headings, rule, *self.rows))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
