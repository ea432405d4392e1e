"""Saves each page under docs/screenshots, in light, in dark and as on a phone."""

import sys
from io import BytesIO
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.server import Server, running_server
from tests.browser.chromium import DESKTOP, PHONE, chromium, running_browser
from tests.browser.filling import fill
from tests.browser.walks import pages_of
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "screenshots"
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light", "viewport": DESKTOP},
    "dark": {"color_scheme": "dark", "viewport": DESKTOP},
    "phone": {"color_scheme": "light", "viewport": PHONE, "is_mobile": True},
}
SHOWN = ("jobs", "job", "job-stuck", "trial", "trial-exploration", "jobs-none", "missing")
MOST_BYTES = 150_000
HIGHEST = 3_000
"""Pixels."""
COLOURS = 256
"""Of a picture: a page has fewer, and the rest are the edges of its letters."""
PATIENCE_MS = 15_000


def main() -> None:
    """Save the pictures."""
    program = chromium()
    if program is None:
        sys.exit("Chromium is not here: apt install chromium")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with running_server() as server:
        with running_browser(program) as browser:
            _save_all(browser, server, {"begin": "/"})
        pages = pages_of(fill(server.url))  # no page is open meanwhile: that has a loop of its own
        with running_browser(program) as browser:
            _save_all(browser, server, {name: pages[name] for name in SHOWN})


def _save_all(browser: Browser, server: Server, pages: dict[str, str]) -> None:
    for look, options in LOOKS.items():
        with browser.new_context(base_url=server.url, **options) as context:
            page = context.new_page()
            for name, path in pages.items():
                page.goto(path)
                _save(page, f"{name}-{look}.png")


def _save(page: Page, name: str) -> None:
    """Save a page, at most so high that one sees what it is."""
    if page.locator("body[data-events]").count():
        expect(page.locator("#live")).to_have_text("live", timeout=PATIENCE_MS)
    whole = Image.open(BytesIO(page.screenshot(full_page=True)))
    picture = whole.crop((0, 0, whole.width, min(whole.height, HIGHEST)))
    path = FOLDER / name
    picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
    size = path.stat().st_size
    if size > MOST_BYTES:
        sys.exit(f"{name} takes {size} bytes, more than {MOST_BYTES}")
    print(f"{path.relative_to(ROOT)}: {size:,} bytes")  # noqa: T201  (what it is run for)


if __name__ == "__main__":
    main()
