"""A real server with real data, and a real browser that complains aloud."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.browser.filling import Filled, fill
from tests.skips import skip_without

try:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.browser.chromium import AXE, DESKTOP, Watch, axe, chromium, running_browser
except ModuleNotFoundError as missing:
    skip_without(f"{missing.name} is not installed, as make test-browser does")

Open = Callable[..., Page]
"""Opens a page: its path, and what ``new_context`` takes."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """Return a running server."""
    with running_server() as running:
        yield running


@pytest.fixture(scope="session")
def filled(server: Server) -> Filled:
    """Return the jobs that the server has."""
    with ThreadPoolExecutor(1) as thread:  # beside the loop in which Playwright may run already
        return thread.submit(fill, server.url).result()


@pytest.fixture(scope="session")
def http(server: Server) -> Iterator[httpx.Client]:
    """Return a client of the server's calls."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a running browser."""
    program = chromium()
    if program is None:
        skip_without("Chromium is not here: apt install chromium")
    with running_browser(program) as running:
        yield running


@pytest.fixture(scope="session")
def axe_script() -> str:
    """Return the script of axe-core."""
    if not AXE.is_file():
        skip_without("axe-core is not here, which make test-browser gets from the npm registry")
    return axe()


@pytest.fixture
def open_page(browser: Browser, server: Server, filled: Filled) -> Iterator[Open]:
    """Return what opens pages of the service; whatever one complains of fails the test."""
    assert filled.names  # there is something to see
    contexts: list[BrowserContext] = []
    watches: list[Watch] = []

    def opened(path: str, *, forgives: str | None = None, **options: Any) -> Page:  # noqa: ANN401  (Playwright's)
        context = browser.new_context(**{"viewport": DESKTOP, "base_url": server.url, **options})
        contexts.append(context)
        page = context.new_page()
        watches.append(Watch(page, forgives))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [complaint for watch in watches for complaint in watch.complaints] == []
