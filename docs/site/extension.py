"""What the site has beside Sphinx: pages that take something in, and mathematics without a script."""

from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from docs.site.pages import page_of


def read(_: Sphinx, name: str, source: list[str]) -> None:
    """Give Sphinx a page as the site shows it."""
    source[0] = page_of(Path("docs", f"{name}.md"), source[0])


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula within a line as MathML, which browsers show by themselves."""
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def display(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on lines of its own."""
    translator.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx of all this."""
    app.connect("source-read", read)
    app.add_html_math_renderer("mathml", inline_renderers=(inline, None), block_renderers=(display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
