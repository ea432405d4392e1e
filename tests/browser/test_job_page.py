"""A job's page in a browser: its figures are those of the API, the slider and the marks answer."""

import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from service.views import figures
from tests.browser.chromium import PHONE
from tests.browser.conftest import Open
from tests.browser.filling import Filled
from tests.browser.walks import of_job

READABLE = 9.0
"""Pixels of the smallest letters of a drawing."""


def _job(http: httpx.Client, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/api/v1/jobs/{quote(job_id, safe='')}").raise_for_status().json()
    return found


def test_the_headline_shows_what_the_api_does(open_page: Open, filled: Filled, http: httpx.Client) -> None:
    job = _job(http, filled.learned)
    words = " ".join(open_page(of_job(filled.learned)).locator("#headline").inner_text().split())
    assert f"Best batch size {job['best_batch_size']} " in words
    assert f"a probability of {figures.percent(job['probability_best'])}" in words
    for part in ("cost", "energy"):
        assert figures.joules(abs(job["savings"][part])) in words
    assert figures.seconds(abs(job["savings"]["time"])) in words
    assert figures.percent(abs(job["savings"]["share"])) in words


def test_the_table_carries_the_numbers_of_the_charts(
    open_page: Open, filled: Filled, http: httpx.Client
) -> None:
    sizes = _job(http, filled.learned)["batch_sizes"]
    rows = open_page(of_job(filled.learned)).locator("#batch-sizes tbody tr")
    expect(rows).to_have_count(len(sizes))
    for size, row in zip(sizes, rows.all(), strict=True):
        cells = row.locator("td").all_inner_texts()
        low, high = size["interval"] or (None, None)
        assert row.locator("th").inner_text().startswith(str(size["batch_size"]))
        assert cells[1:11] == [
            figures.joules(size["mean_cost"]),
            figures.joules(None) if low is None else f"{figures.joules(low)} to {figures.joules(high)}",
            figures.count(size["num_observations"]),
            figures.percent(size["probability_best"]),
            figures.count(size["num_trials"]),
            figures.percent(size["share"]),
            figures.count(size["num_converged"]),
            figures.seconds(size["mean_time"]),
            figures.joules(size["mean_energy"]),
            "0",
        ]


def test_the_last_decision_is_told_in_words(open_page: Open, filled: Filled, http: httpx.Client) -> None:
    decision = _job(http, filled.learned)["last_decision"]
    page = open_page(of_job(filled.learned))
    assert decision["sentence"] in page.locator("#decision").inner_text()
    page.locator("#decision a").click()
    expect(page).to_have_url(re.compile(rf"/trial\?.*number={decision['trial_number']}$"))


def test_each_result_is_a_mark(open_page: Open, filled: Filled, http: httpx.Client) -> None:
    job = _job(http, filled.learned)
    page = open_page(of_job(filled.learned))
    num_results = job["num_converged"] + job["num_unconverged"]
    expect(page.locator("#chart-recurrences svg[role=img] :is(.dot, .ring)")).to_have_count(num_results)
    expect(page.locator("#chart-costs svg[role=img] .ring")).to_have_count(job["num_unconverged"])
    arms = [size for size in job["batch_sizes"] if size["mean_cost"] is not None]
    expect(page.locator("#chart-costs svg[role=img] .belief")).to_have_count(len(arms))


def _shown(page: Page) -> dict[str, str]:
    places = page.locator("#eta-form [data-shows]").all()
    return {place.get_attribute("data-shows") or "": place.inner_text() for place in places}


@pytest.mark.parametrize("key", ["Home", "End"])
def test_the_slider_shows_what_the_form_without_scripts_does(
    open_page: Open, filled: Filled, key: str
) -> None:
    eta = {"Home": "0", "End": "1"}[key]
    page = open_page(of_job(filled.learned))
    page.locator("#eta-range").press(key)
    expect(page).to_have_url(re.compile(rf"eta={eta}$"))
    without = open_page(f"{of_job(filled.learned)}&eta={eta}", java_script_enabled=False)
    assert _shown(page) == _shown(without)
    chosen = page.locator("#chart-plane circle.chosen")
    assert chosen.get_attribute("data-name") == _shown(page)["batch_size"]


def test_a_mark_says_what_it_is_under_the_pointer_and_with_the_arrow_keys(
    open_page: Open, filled: Filled
) -> None:
    page = open_page(of_job(filled.learned))
    tip = page.locator(".tip")
    expect(tip).to_be_hidden()
    page.locator("#chart-costs .belief").first.hover()
    expect(tip).to_contain_text("on average, with 95 % probability")
    page.keyboard.press("Escape")
    expect(tip).to_be_hidden()
    page.locator("#chart-recurrences svg[role=img]").press("ArrowRight")
    expect(tip).to_contain_text(re.compile(r"^Trial 1, batch size \d+: "))
    page.keyboard.press("ArrowRight")
    expect(tip).to_contain_text(re.compile(r"^Trial 2, batch size \d+: "))


def test_the_letters_of_a_drawing_can_be_read_on_a_phone(open_page: Open, filled: Filled) -> None:
    page = open_page(of_job(filled.learned), viewport=PHONE, is_mobile=True, has_touch=True)
    heights = page.evaluate(
        """[...document.querySelectorAll(".chart svg[role=img] text")]
            .filter((text) => text.getBoundingClientRect().width)
            .map((text) => parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a)"""
    )
    assert min(heights) >= READABLE
