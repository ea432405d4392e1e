"""The site is whole: it is built without a warning, leads nowhere that is not there, and needs no network."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from service.cli import main
from service.web.routes import Resource, routes
from tests.conftest import ROOT
from tests.docs.blocks import text_of
from tests.skips import skip_without
from tests.test_docs import commands

LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""Elements that a browser loads by themselves, with the attribute that says from where."""


class Page(HTMLParser):
    """What a page has: its anchors, where its links lead, and what it loads."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        had = dict(attrs)
        self.anchors |= {name for name in (had.get("id"), had.get("name")) if name}
        if tag == "a" and had.get("href"):
            self.links.append(had["href"] or "")
        source = had.get(LOADED.get(tag, ""))
        if source is not None:
            self.loaded.append(source)


def build(source: Path, target: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Build a site as ``make docs`` does."""
    command = [sys.executable, "-m", "sphinx", "--fresh-env", "--fail-on-warning", "--keep-going", "--quiet"]
    command += ["--doctree-dir", f"{target}-read", "--conf-dir", "docs/site", *more, str(source), str(target)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site."""
    if importlib.util.find_spec("sphinx") is None:
        skip_without("Sphinx is not installed, as make test-docs does")
    folder = tmp_path_factory.mktemp("site") / "built"
    built = build(ROOT / "docs", folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Return the pages of the site by their file's name."""
    return {file.name: Page(file) for file in site.glob("*.html")}


def test_every_document_is_a_page(pages: dict[str, Page]) -> None:
    documents = {f"{file.stem}.html" for file in (ROOT / "docs").glob("*.md")}
    assert documents - pages.keys() == set()
    assert (
        documents - {link.partition("#")[0] for link in pages["index.html"].links} - {"index.html"} == set()
    )


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    assert list(broken(site, pages)) == []


def broken(site: Path, pages: dict[str, Page]) -> Iterator[tuple[str, str]]:
    """Return the links within the site that lead nowhere."""
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            file = unquote(parts.path) or name
            is_there = (site / file).is_file()
            anchor = unquote(parts.fragment)
            if not is_there or (anchor and file in pages and anchor not in pages[file].anchors):
                yield name, link


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    assert [one for page in pages.values() for one in page.loaded if urlsplit(one).netloc] == []
    styles = "".join(file.read_text(encoding="utf-8") for file in site.rglob("*.css"))
    assert re.findall(r"url\(['\"]?(?:https?:)?//[^)]*\)|@import[^;]*//", styles) == []


def test_formulas_are_shown_without_a_script(site: Path) -> None:
    shown = (site / "concepts.html").read_text(encoding="utf-8")
    written = text_of("docs/concepts.md")
    num_blocks = written.count("$$") // 2
    num_inline = len(re.findall(r"(?<!\$)\$[^$\n]+\$(?!\$)", written))
    assert shown.count('<math xmlns="http://www.w3.org/1998/Math/MathML" display="block"') == num_blocks
    assert shown.count("<math ") == num_blocks + num_inline
    assert "$" not in re.sub(r"<script.*?</script>|<code.*?</code>|<pre.*?</pre>", "", shown, flags=re.DOTALL)


def test_every_call_has_a_section_with_an_example(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "api.html").read_text(encoding="utf-8"))
    served = {
        f"{method} {route.path_format}"
        for route in routes
        if isinstance(route.endpoint, Resource)
        for method in route.endpoint.methods
        if method != "HEAD"
    }
    assert [call for call in served if call not in text] == []
    assert text.count("\ncurl ") >= len(served)


def test_every_command_has_a_section(site: Path) -> None:
    text = re.sub(r"<[^>]+>", "", (site / "cli.html").read_text(encoding="utf-8"))
    assert [name for name in commands(main) if f"{name} [OPTIONS]" not in text] == []


def test_a_link_that_leads_nowhere_fails_the_build(site: Path, tmp_path: Path) -> None:
    assert site.is_dir()
    source = tmp_path / "docs"
    source.mkdir()
    (source / "index.md").write_text("# Here\n\n[there](there.md) and [below](#below)\n", encoding="utf-8")
    shutil.copytree(ROOT / "docs" / "site" / "static", source / "static")
    built = build(source, tmp_path / "built")
    assert built.returncode != 0
    assert "there.md" in built.stderr
    assert "below" in built.stderr
