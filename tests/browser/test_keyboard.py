"""Everything is done with the keyboard too, and it is seen where one is."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.filling import Filled


def outline(page: Page) -> str:
    """Return how what has the focus is marked."""
    style = "getComputedStyle(document.activeElement)"
    return str(page.evaluate(f"{style}.outlineStyle + ' ' + {style}.outlineWidth"))


def test_the_first_tab_leads_past_the_header(open_page: Open) -> None:
    page = open_page("/")
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_every_stop_of_the_tab_key_is_seen(open_page: Open) -> None:
    page = open_page("/")
    for _ in range(12):
        page.keyboard.press("Tab")
        assert outline(page) == "solid 3px"
        assert page.evaluate("document.activeElement.getBoundingClientRect().width") > 0


def test_arrows_go_from_job_to_job(open_page: Open, filled: Filled) -> None:
    page = open_page("/")
    first, second, last = (page.get_by_role("link", name=filled.names[at], exact=True) for at in (0, 1, -1))
    first.focus()
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    page.keyboard.press("End")
    expect(last).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(last).to_be_focused()
    page.keyboard.press("Home")
    expect(first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=filled.names[0], level=1)).to_be_visible()
