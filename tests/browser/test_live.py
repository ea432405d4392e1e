"""What happens is seen without asking again, and nobody loses what they were at."""

import time

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.browser.filling import Filled
from tests.browser.walks import of_job, of_trial
from tests.service.talk import Api

PATIENCE_MS = 15_000


@pytest.fixture
def api(http: httpx.Client) -> Api:
    """Return the calls of a training job."""
    return Api(http)


def mark(page: Page) -> None:
    """Wait until a page listens."""
    expect(page.locator("#live")).to_have_text("live", timeout=PATIENCE_MS)


def test_a_new_job_comes_into_the_list_and_the_focus_stays(open_page: Open, api: Api, filled: Filled) -> None:
    page = open_page("/")
    mark(page)
    here = page.get_by_role("link", name=filled.names[1], exact=True)
    here.focus()
    api.register(job_id="another-one", job_id_prefix="another")
    expect(page.get_by_role("link", name="another-one")).to_be_visible(timeout=PATIENCE_MS)
    expect(here).to_be_focused()
    api.delete("another-one")
    expect(page.get_by_role("link", name="another-one")).to_have_count(0, timeout=PATIENCE_MS)


def test_a_page_shows_what_comes_of_a_trial(open_page: Open, api: Api, filled: Filled) -> None:
    trial = api.trial(filled.odd)
    page = open_page(of_trial(filled.odd, trial["trial_number"]))
    mark(page)
    expect(page.locator("#trial")).to_contain_text("Running")
    api.report(trial, time=50.0, energy=9_000.0)
    api.end(trial)
    expect(page.locator("#trial")).to_contain_text("Converged", timeout=PATIENCE_MS)
    expect(page.locator("#trial")).to_contain_text("9.00 kJ")


def test_what_somebody_types_stays(open_page: Open, api: Api) -> None:
    page = open_page("/")
    mark(page)
    field = page.get_by_label("Name begins with")
    field.fill("half a na")
    api.register(job_id="yet-another", job_id_prefix="yet")
    expect(page.get_by_role("link", name="yet-another")).to_be_visible(timeout=PATIENCE_MS)
    expect(field).to_have_value("half a na")
    expect(field).to_be_focused()
    api.delete("yet-another")


def test_many_events_are_one_fetch(open_page: Open, api: Api, filled: Filled) -> None:
    page = open_page(of_job(filled.walking))
    mark(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/job?" in request.url else None)
    began = time.monotonic()
    for _ in range(5):
        for _ in range(6):
            api.run(filled.walking)
        page.wait_for_timeout(200)
    page.wait_for_timeout(2_000)
    assert 1 <= len(asked) <= 1 + (time.monotonic() - began) / 2  # seconds apart


def test_who_looks_at_a_job_that_is_deleted_is_told(open_page: Open, api: Api) -> None:
    api.register(job_id="going", job_id_prefix="going")
    page = open_page(of_job("going"))
    mark(page)
    api.delete("going")
    expect(page.get_by_role("heading", name="Nothing is here")).to_be_visible(timeout=PATIENCE_MS)


def test_a_stream_that_breaks_is_said_to_and_taken_up_again(open_page: Open, api: Api) -> None:
    page = open_page("/nothing", forgives="/api/v1/events")
    page.context.route("**/api/v1/events*", lambda route: route.abort())
    page.goto("/")
    expect(page.locator("#live")).to_have_text("reconnecting")
    page.context.unroute("**/api/v1/events*")
    mark(page)
    api.register(job_id="seen-again", job_id_prefix="seen")
    expect(page.get_by_role("link", name="seen-again")).to_be_visible(timeout=PATIENCE_MS)
    api.delete("seen-again")


def test_a_page_that_nobody_sees_does_not_listen(open_page: Open) -> None:
    page = open_page("/")
    mark(page)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    hide += "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(hide % "true")
    page.wait_for_timeout(300)
    assert asked == []
    page.evaluate(hide % "false")
    mark(page)
    assert any("/api/v1/events" in url for url in asked)
