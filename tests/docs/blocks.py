"""The fenced blocks of the documentation: their languages, commands, and what these are shown to print."""

import re
from collections.abc import Iterator
from pathlib import Path

from markdown_it import MarkdownIt
from msgspec import Struct

from tests.client.test_examples import DOCUMENTS as RUN_WITH_THE_CLIENT
from tests.conftest import ROOT

PAGES = [
    "README.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")),
    "client/README.md",
    "SECURITY.md",
    "CHANGELOG.md",
]
RUN = {"sh", "console", "python", "json", "sql"}
"""Languages of blocks that are run, or held against what a block before them has printed."""
DATA = {"yaml", "toml"}
"""Languages of files that are shown: not run, and so marked."""
SHOWN = {"text", "{toctree}", "{eval-rst}"}
"""Languages of blocks in which there is nothing to run; what is in braces is for the site's builder."""
MARK = re.compile(r"<!-- not run: (\S.*?) -->\s*", re.DOTALL)
"""What stands before a block that cannot run here, with the reason."""
CONSOLE = re.compile(r"^\$ (?P<commands>(?:.*\\\n)*.*\n)(?P<printed>(?:(?!\$ ).*\n)*)", re.MULTILINE)
SHELL = re.compile(r"^(?P<commands>(?:(?!# ).*\n)+)(?P<printed>(?:#.*\n)*)", re.MULTILINE)
BEHIND = re.compile(r"^# ?", re.MULTILINE)


class Block(Struct, frozen=True):
    """A fenced block: its page, the line of its fence, and why it is not run, None where it is."""

    page: str
    line: int
    language: str
    text: str
    reason: str | None

    @property
    def is_run_with_the_client(self) -> bool:
        """Tell whether the client's tests run it, with what a training script has around it."""
        return self.language == "python" and self.page in RUN_WITH_THE_CLIENT

    @property
    def is_run(self) -> bool:
        """Tell whether it is run with the other blocks of its page."""
        return self.language in RUN and self.reason is None and not self.is_run_with_the_client

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


class Step(Struct, frozen=True):
    """Commands of a block, and what they are shown to print, None where that is not shown."""

    commands: str
    output: str | None


def blocks_of(page: str, text: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, in their order."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8") if text is None else text)
    found: list[Block] = []
    mark: re.Match[str] | None = None
    for token in tokens:
        if token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            reason = mark[1] if mark else None
            found.append(Block(page, line, token.info.strip(), token.content, reason))
        mark = MARK.fullmatch(token.content) if token.type == "html_block" else None
    return found


def steps_of(block: Block) -> Iterator[Step]:
    """Split a block of a shell into commands and what they print.

    In a ``console`` block commands have a ``$`` before them, and what follows is printed. In an ``sh`` block,
    so that it can be copied whole, what a command prints stands right below it behind a ``#``.
    """
    pattern = CONSOLE if block.language == "console" else SHELL
    for match in pattern.finditer(block.text):
        printed = match["printed"] if block.language == "console" else BEHIND.sub("", match["printed"])
        yield Step(match["commands"], printed or None)


def looks_like(shown: str, printed: str) -> bool:
    """Tell whether what was printed is what is shown, in which ``...`` stands for anything."""
    pieces = (re.escape(piece) for piece in tidy(shown).split("..."))
    return re.fullmatch(".*?".join(pieces), tidy(printed), re.DOTALL) is not None


def tidy(text: str) -> str:
    """Return a text without spaces at the ends of lines, and without empty lines around it."""
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def fits(shown: object, had: object) -> bool:
    """Tell whether JSON is as shown, where ``"..."`` stands for anything, as a member for any others."""
    if shown == "...":
        return True
    if isinstance(shown, dict) and isinstance(had, dict):
        named = shown.keys() - {"..."}
        is_whole = "..." in shown or named == had.keys()
        return is_whole and all(name in had and fits(shown[name], had[name]) for name in named)
    if isinstance(shown, list) and isinstance(had, list):
        named_items = [item for item in shown if item != "..."]
        is_long_enough = len(had) >= len(named_items) if "..." in shown else len(had) == len(shown)
        return is_long_enough and all(map(fits, named_items, had))
    return shown == had


def scripts() -> Iterator[tuple[Block, str]]:
    """Return every block of a shell with its commands alone, run or not."""
    for page in PAGES:
        for block in blocks_of(page):
            if block.language in {"sh", "console"}:
                yield block, "".join(step.commands for step in steps_of(block))


def text_of(page: str) -> str:
    """Return the text of a page."""
    return Path(ROOT / page).read_text(encoding="utf-8")
