"""The page of a job, in every state that a job can be in."""

import json
import re
from html import unescape
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from service.views.figures import joules
from tests.service.talk import Api

FIGURES = ["costs", "recurrences", "savings", "timeline", "shares", "plane"]


def page_of(http: httpx.Client, job_id: str, **query: str) -> str:
    answer = http.get("/job", params={"id": job_id, **query})
    assert answer.status_code == 200, answer.text
    return answer.text


def words_of(page: str) -> str:
    """Return what a page says, without its drawings."""
    without = re.sub(r"<(svg|script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", without).split())


def numbers_of(page: str) -> list[int]:
    """Return the numbers of the trials of a page's table."""
    table = page.partition('id="trials"')[2].partition("</section>")[0]
    return [int(number) for number in re.findall(r'<th scope="row" class="number"><a [^>]*>(\d+)<', table)]


def figures_of(page: str) -> dict[str, ET.Element]:
    """Return the drawings by name."""
    found = re.findall(r'<figure class="chart" id="chart-(\w+)">.*?(<svg viewBox.*?</svg>)', page, re.DOTALL)
    return {name: ET.fromstring(svg) for name, svg in found}  # noqa: S314  (the service's own)


def train(api: Api, job_id: str, **report: object) -> dict[str, Any]:
    """Train once; return the trial."""
    trial = api.trial(job_id)
    assert api.report(trial, **report).status_code == 200
    return trial


def in_the_bandit(api: Api, num_trials: int = 14) -> str:
    """Return a job that has trained so often."""
    job_id = str(api.register(num_pruning_rounds=1)["job_id"])
    for number in range(num_trials):
        train(api, job_id, time=100.0 + number, energy=20_000.0 + 100 * number)
    return job_id


def test_a_job_without_trials_says_how_to_begin(api: Api, http: httpx.Client) -> None:
    job_id = api.register()["job_id"]
    page = page_of(http, job_id)
    assert figures_of(page) == {}
    assert "No training has asked for a batch size yet. The first one will get the default, 16." in words_of(
        page
    )
    assert f"/jobs/batch_size?job_id={job_id}" in words_of(page)


def test_a_job_in_the_pruning_stage_shows_its_round_and_no_means(api: Api, http: httpx.Client) -> None:
    job_id = api.register()["job_id"]
    train(api, job_id)
    page = page_of(http, job_id)
    assert list(figures_of(page)) == FIGURES
    words = words_of(page)
    assert "Pruning , round 1 of 2" in words or "Pruning, round 1 of 2" in words
    assert "the cheapest so far; it is the default" in words
    assert "mean, with its 95 % interval" not in page


def test_a_job_in_the_bandit_shows_means_and_why_it_chose(api: Api, http: httpx.Client) -> None:
    page = page_of(http, in_the_bandit(api))
    figures = figures_of(page)
    assert list(figures) == FIGURES
    intervals = [mark for mark in figures["costs"] if "interval" in mark.get("class", "")]
    assert len(intervals) == 3
    assert "the best with a probability of" in words_of(page)
    assert re.search(r"Trial 14 got batch size \d+ \. Batch size \d+ had", words_of(page))


def test_without_a_result_at_the_default_nothing_is_said_to_be_saved(api: Api, http: httpx.Client) -> None:
    job_id = api.register(batch_sizes=[16, 32], default_batch_size=16)["job_id"]
    train(api, job_id, metric=0.1, current_epoch=10)
    train(api, job_id)
    page = page_of(http, job_id)
    assert "savings" not in figures_of(page)
    assert "known once a training has converged at the default 16" in words_of(page)
    assert "No training has converged at the default batch size 16 yet" in words_of(page)


def test_a_single_batch_size_is_drawn_in_the_middle(api: Api, http: httpx.Client) -> None:
    job_id = api.register(batch_sizes=[16], num_pruning_rounds=0)["job_id"]
    for _ in range(3):
        train(api, job_id)
    figures = figures_of(page_of(http, job_id))
    assert list(figures) == FIGURES
    (tick,) = [mark for mark in figures["costs"] if mark.text == "16"]
    assert float(tick.get("x", "")) == pytest.approx(304, abs=1)


def test_a_job_all_of_whose_trainings_failed_says_what_to_do(api: Api, http: httpx.Client) -> None:
    job_id = api.register(batch_sizes=[16], max_failures=1)["job_id"]
    api.end(api.trial(job_id))
    page = page_of(http, job_id)
    words = words_of(page)
    assert list(figures_of(page)) == ["timeline", "shares"]
    assert "all that ended have failed" in words
    assert "Costs appear with the first training that reaches its target" in words
    assert "Stuck:" in words
    assert "set aside" in words
    assert f"POST /api/v1/jobs/{job_id}/reset" in words


def test_a_paused_job_says_so(api: Api, http: httpx.Client) -> None:
    job_id = in_the_bandit(api, 3)
    assert http.post(f"/api/v1/jobs/{job_id}/pause").is_success
    assert "Paused: nothing is explored" in words_of(page_of(http, job_id))


def test_the_policy_and_the_drifts_stand_with_the_terms(api: Api, http: httpx.Client) -> None:
    words = words_of(page_of(http, api.register()["job_id"]))
    for term in ("policy zeus", "warm_start_from none", "Drifts seen 0"):
        assert term in words


def test_what_was_changed_since_it_was_registered_is_shown(api: Api, http: httpx.Client) -> None:
    job_id = in_the_bandit(api, 3)
    changed = http.patch(f"/api/v1/jobs/{job_id}", json={"eta_knob": 0.9})
    assert changed.is_success, changed.text
    assert "Changed since the job was registered: eta_knob was 0.5" in words_of(page_of(http, job_id))


def test_the_form_of_the_slider_shows_another_eta_without_a_script(api: Api, http: httpx.Client) -> None:
    job_id = api.register(num_pruning_rounds=0)["job_id"]
    took = {8: (100.0, 30_000.0), 16: (200.0, 20_000.0), 32: (400.0, 10_000.0)}
    for _ in range(9):
        trial = api.trial(job_id)
        time, energy = took[trial["batch_size"]]
        assert api.report(trial, time=time, energy=energy).status_code == 200
    for eta, size in (("0", 8), ("1", 32)):
        page = page_of(http, job_id, eta=eta)
        assert re.search(rf'data-shows="batch_size">{size}<', page)
        assert f'data-shows="energy">{joules(took[size][1])}<' in page
        assert f'value="{float(eta)}"' in page
        choices = json.loads(re.findall(r'data-choices="([^"]*)"', page)[0].replace("&#34;", '"'))
        assert choices[100 * int(eta)][0] == size
        chosen = [mark for mark in figures_of(page)["plane"] if "chosen" in mark.get("class", "")]
        assert {mark.get("data-name") for mark in chosen} == {str(size)}


@pytest.mark.parametrize("eta", ["2", "-1", "much", "nan"])
def test_an_eta_that_is_none_is_refused(api: Api, http: httpx.Client, eta: str) -> None:
    assert http.get("/job", params={"id": in_the_bandit(api, 1), "eta": eta}).status_code == 422


def test_older_trials_are_a_link_away(api: Api, http: httpx.Client) -> None:
    job_id = in_the_bandit(api, 23)
    last = page_of(http, job_id)
    assert numbers_of(last) == list(range(23, 3, -1))
    (older,) = re.findall(r'href="([^"]*)#trials">Older<', last)
    before = http.get(unescape(older)).text
    assert numbers_of(before) == [3, 2, 1]
    assert "Older<" not in before
    (newest,) = re.findall(r'href="([^"]*)#trials">Newest<', before)
    assert numbers_of(http.get(unescape(newest)).text) == numbers_of(last)
    assert http.get("/job", params={"id": job_id, "trials": "x"}).status_code == 422


def test_an_unknown_job_is_not_found(http: httpx.Client) -> None:
    assert http.get("/job", params={"id": "nobody"}).status_code == 404
    assert http.get("/job").status_code == 422


def test_each_drawing_has_a_title_and_says_in_words_what_it_shows(api: Api, http: httpx.Client) -> None:
    for name, figure in figures_of(page_of(http, in_the_bandit(api))).items():
        assert figure.get("role") == "img"
        named = {child.get("id"): child.text for child in figure if child.tag in {"title", "desc"}}
        assert (figure.get("aria-labelledby") or "").split() == list(named)
        assert all(named.values()), name


def test_nothing_on_the_page_is_styled_or_scripted_in_place(api: Api, http: httpx.Client) -> None:
    page = page_of(http, in_the_bandit(api))
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]* src=)", page)
    assert not re.search(r"<[^>]*\son\w+=", page)


def test_names_are_shown_as_they_are(api: Api, http: httpx.Client) -> None:
    job_id = api.register(job_id='job-<b>"&', gpu_model="<i>A40</i>")["job_id"]
    train(api, str(job_id))
    page = page_of(http, str(job_id))
    assert "<b>" not in page
    assert "<i>A40" not in page
    assert list(figures_of(page)) == FIGURES
