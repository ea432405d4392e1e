"""What a section of the report says: its tables and its picture, as Markdown and as data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from benchmarks.markdown import Table
from benchmarks.picture import Figure, save


class Page(Struct, frozen=True):
    """A section as it is written; ``note`` says how, and what with."""

    title: str
    note: str
    tables: Sequence[Table]
    pictures: dict[str, Figure]
    data: Any

    def markdown(self, folder: Path) -> str:
        """Save the pictures in a folder, and return the section as Markdown."""
        for name, figure in self.pictures.items():
            save(figure, folder / f"{name}.svg")
        parts = [
            f"## {self.title}",
            self.note,
            *(table.markdown() for table in self.tables),
            *(f"![{self.title}]({name}.svg)" for name in self.pictures),
        ]
        return "\n\n".join(parts) + "\n"
