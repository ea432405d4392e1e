"""The system's Chromium, driven by Playwright, and axe-core in it."""

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.conftest import ROOT

AXE = ROOT / "build" / "browser" / "axe-core.tgz"
"""As ``npm pack axe-core`` gives it; ``make test-browser`` asks the registry for it."""
PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
NOT_LOADED = "Failed to load resource"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


def chromium() -> str | None:
    """Return where the system's Chromium is, None where there is none."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextmanager
def running_browser(program: str) -> Iterator[Browser]:
    """Start a browser. It may run as root in a container, where it can have no sandbox."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def axe() -> str:
    """Return the script that looks for what keeps people out."""
    with tarfile.open(AXE) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


class Watch:
    """What a page complains of: errors and warnings of its console, as of its policy, faults of scripts.

    Complaints of the address that it ``forgives`` do not count.
    """

    def __init__(self, page: Page, forgives: str | None = None) -> None:
        self.complaints: list[str] = []
        self._forgives = forgives
        page.on("console", self._hear)
        page.on("pageerror", lambda fault: self.complaints.append(str(fault)))

    def _hear(self, message: ConsoleMessage) -> None:
        is_forgiven = self._forgives is not None and self._forgives in message.location.get("url", "")
        if message.type in {"error", "warning"} and not is_forgiven and not self._is_the_page(message):
            self.complaints.append(f"{message.text} ({message.location})")

    def _is_the_page(self, message: ConsoleMessage) -> bool:
        """Tell whether a page itself was refused, which is what a test wants to see."""
        here = message.page.url if message.page else ""
        return bool(message.text.startswith(NOT_LOADED) and message.location.get("url") == here)


def findings(page: Page, script: str) -> list[str]:
    """Return what axe finds on a page that is critical or serious."""
    page.evaluate(script)
    results: dict[str, Any] = page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {violation['help']}: {node['html'][:200]} {node['any'][:1]}"
        for violation in results["violations"]
        if violation["impact"] in {"critical", "serious"}
        for node in violation["nodes"]
    ]
