"""Signing in, in a browser."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from benchmarks.server import Server, running_server
from service.credentials import Role
from tests.browser.chromium import Watch, findings
from tests.service.access.holders import bearer, make_token
from tests.service.talk import job_body


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[Role, str]]:
    """Return a database for which tokens were made, and these."""
    url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('guarded') / 'guarded.db'}"
    return url, {role: make_token(url, role) for role in Role}


@pytest.fixture(scope="module")
def guarded(tokens: tuple[str, dict[Role, str]]) -> Iterator[Server]:
    """Return a service that asks for tokens and has a job."""
    with running_server(tokens[0]) as running:
        headers = bearer(tokens[1][Role.TRAINER])
        body = job_body(job_id="guarded-1", job_id_prefix="guarded")
        httpx.post(f"{running.url}/jobs", json=body, headers=headers, trust_env=False).raise_for_status()
        yield running


@pytest.fixture
def page(browser: Browser, guarded: Server) -> Iterator[Page]:
    """Return an empty page of somebody who has not signed in."""
    context = browser.new_context(base_url=guarded.url)
    opened = context.new_page()
    watch = Watch(opened)
    yield opened
    context.close()
    assert watch.complaints == []


def sign_in(page: Page, token: str) -> None:
    """Fill in the form and send it."""
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_reader_signs_in_looks_and_signs_out(
    page: Page, tokens: tuple[str, dict[Role, str]], axe_script: str
) -> None:
    page.goto("/?prefix=guarded")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert findings(page, axe_script) == []
    expect(page.get_by_label("Token")).to_be_focused()
    sign_in(page, "bb_wrong_token")
    expect(page.get_by_role("alert")).to_contain_text("not a token of this service")
    assert findings(page, axe_script) == []
    sign_in(page, tokens[1][Role.READER])
    expect(page.get_by_role("link", name="guarded-1")).to_be_visible()
    assert page.url.endswith("/?prefix=guarded")
    expect(page.locator("#live")).to_have_text("live", timeout=15_000)
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.goto("/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_an_operator_alone_sees_what_an_operator_may_do(
    page: Page, tokens: tuple[str, dict[Role, str]]
) -> None:
    page.goto("/job?id=guarded-1")
    sign_in(page, tokens[1][Role.READER])
    expect(page.get_by_role("heading", name="guarded-1")).to_be_visible()
    expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    page.get_by_role("button", name="Sign out").click()
    page.goto("/job?id=guarded-1")
    sign_in(page, tokens[1][Role.OPERATOR])
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()


def test_a_link_on_another_site_leads_to_the_page_with_the_cookie(
    page: Page, guarded: Server, tokens: tuple[str, dict[Role, str]]
) -> None:
    page.goto("/")
    sign_in(page, tokens[1][Role.READER])
    expect(page.get_by_role("link", name="guarded-1")).to_be_visible()
    address = f"{guarded.url}/trial?id=guarded-1&number=7"
    page.route(
        "http://elsewhere.localhost/",
        lambda route: route.fulfill(body=f'<a href="{address}">there</a>', content_type="text/html"),
    )
    page.goto("http://elsewhere.localhost/")
    page.get_by_role("link", name="there").click()
    expect(page.locator("main")).to_contain_text("There is no trial(7) of job(guarded-1)")
