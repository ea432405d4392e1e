"""Every page in a browser: nothing is complained of, nobody is kept out, and figures are those of the API."""

from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import expect

from service.dashboard import formats
from tests.browser.chromium import PHONE, findings
from tests.browser.conftest import Open
from tests.browser.filling import Filled
from tests.browser.walks import NAMES, of_trial, pages_of

SETTLED_MS = 200


def test_what_keeps_people_out_is_found(open_page: Open, axe_script: str) -> None:
    page = open_page("/")
    page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    assert [finding.partition(":")[0] for finding in findings(page, axe_script)] == ["button-name"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_no_page_keeps_anybody_out(
    open_page: Open, filled: Filled, axe_script: str, name: str, scheme: str
) -> None:
    page = open_page(pages_of(filled)[name], color_scheme=scheme)
    page.wait_for_timeout(SETTLED_MS)
    assert findings(page, axe_script) == []


@pytest.mark.parametrize("name", NAMES)
def test_a_phone_shows_a_page_without_moving_it_sideways(open_page: Open, filled: Filled, name: str) -> None:
    page = open_page(pages_of(filled)[name], viewport=PHONE, is_mobile=True, has_touch=True)
    page.wait_for_timeout(SETTLED_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_all_without_scripts_too(open_page: Open, filled: Filled, name: str) -> None:
    path = pages_of(filled)[name]
    said = open_page(path, java_script_enabled=False).locator("main").inner_text().splitlines()
    assert [
        line for line in open_page(path).locator("main").inner_text().splitlines() if line not in said
    ] == []


def test_the_list_shows_what_the_api_does(open_page: Open, filled: Filled, http: httpx.Client) -> None:
    jobs = http.get("/api/v1/jobs").raise_for_status().json()["jobs"]
    assert [job["job_id"] for job in jobs] == filled.names
    page = open_page("/")
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(len(jobs))
    for job, row in zip(jobs, rows.all(), strict=True):
        shown = row.inner_text()
        assert job["job_id"] in shown
        assert job["activity"].capitalize() in shown
        assert {"Pruning": "Pruning", "MAB": "Bandit"}[job["stage"]] in shown
        if job["best_batch_size"] is not None:
            assert str(job["best_batch_size"]) in shown
        if job["problem"]:
            assert job["problem"]["trouble"].capitalize() in shown
            assert job["problem"]["sentence"] in shown
        if job["savings"]:
            assert formats.percent(job["savings"]["share"]) in shown
            assert formats.joules(job["savings"]["energy"]) in shown
            assert formats.seconds(job["savings"]["time"]) in shown
    assert any(job["savings"] for job in jobs)
    assert {job["problem"] and job["problem"]["trouble"] for job in jobs} == {None, "stuck", "failing"}


@pytest.mark.parametrize("number", [1, 2, 25])
def test_a_trial_shows_what_the_api_does(
    open_page: Open, filled: Filled, http: httpx.Client, number: int
) -> None:
    path = f"/api/v1/jobs/{quote(filled.learned, safe='')}/trials/{number}"
    trial = http.get(path).raise_for_status().json()
    decision = http.get(f"{path}/decision").raise_for_status().json()
    page = open_page(of_trial(filled.learned, number))
    shown = page.locator("main").inner_text()
    assert f"batch size {trial['batch_size']}" in shown
    assert decision["sentence"] in shown
    assert formats.joules(trial["cost"]) in shown
    assert formats.joules(trial["energy"]) in shown
    assert formats.seconds(trial["time"]) in shown
    rows = page.locator("#arms tbody tr").all()
    assert len(rows) == len(decision["arms"])
    for arm, row in zip(decision["arms"], rows, strict=True):
        told = row.inner_text()
        assert str(arm["batch_size"]) in told
        if arm["deviation"] is not None:
            assert formats.joules(arm["mean_cost"]) in told
        if arm["sampled_cost"] is not None:
            assert formats.joules(arm["sampled_cost"]) in told
        assert ("chosen" in told) == (arm["batch_size"] == trial["batch_size"])


def test_filters_find_and_are_taken_back(open_page: Open, filled: Filled) -> None:
    page = open_page("/")
    page.get_by_label("Trouble").select_option("stuck")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody")).to_contain_text(filled.stuck)
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(len(filled.names))
    page.get_by_label("Name begins with").fill("odd-<")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Name begins with").fill("nobodys")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="No job is like that")).to_be_visible()


def test_an_operator_pauses_and_resumes_a_job(open_page: Open, filled: Filled, http: httpx.Client) -> None:
    page = open_page(f"/job?id={filled.walking}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert http.get(f"/api/v1/jobs/{filled.walking}").json()["activity"] == "paused"
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    assert http.get(f"/api/v1/jobs/{filled.walking}").json()["activity"] != "paused"


def test_from_the_list_to_the_reason_of_the_last_batch_size(open_page: Open, filled: Filled) -> None:
    page = open_page("/")
    page.get_by_role("link", name=filled.learned).click()
    expect(page.get_by_role("heading", name=filled.learned)).to_be_visible()
    page.locator("a[href^='/trial']").first.click()
    expect(page.get_by_role("heading", name="Why this batch size")).to_be_visible()


def test_a_page_prints_without_what_only_a_screen_needs(open_page: Open) -> None:
    page = open_page("/")
    page.emulate_media(media="print")
    expect(page.locator(".top")).to_be_hidden()
    expect(page.locator("table")).to_be_visible()
