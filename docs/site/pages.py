"""A page as the site shows it: what is kept elsewhere is taken in, and links lead to pages of the site."""

import os
import re
from pathlib import Path, PurePath

from docs.site.calls import calls

ROOT = Path(__file__).parents[2]
TAKEN_IN = re.compile(r"^<!-- here: (\S+) -->$", re.MULTILINE)
"""The line of a page that a file of the repository, or what is made of the code, takes the place of."""
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]+)")
PAGES = {"README.md": "docs/index.md", "SECURITY.md": "docs/security.md", "CHANGELOG.md": "docs/changelog.md"}
"""Files of the repository with the page of the site that has them."""


def page_of(path: PurePath, text: str) -> str:
    """Return a page of ``docs``, given by its path in the repository and the text that is kept there."""
    return TAKEN_IN.sub(lambda found: _taken_in(found[1]), linked(path, text))


def linked(path: PurePath, text: str) -> str:
    """Return the text of a file of the repository with links that hold in a page of ``docs``."""

    def lead(found: re.Match[str]) -> str:
        target = os.path.normpath(path.parent / found[1])
        return os.path.relpath(PAGES.get(target, target), "docs")

    return LINK.sub(lead, text)


def _taken_in(name: str) -> str:
    """Return what takes a line's place, without the title that the page has already."""
    if name == "openapi.json":
        return calls()
    text = linked(PurePath(name), (ROOT / name).read_text(encoding="utf-8"))
    return text.split("\n", 1)[1]
