"""The pages, as they are sent: what is on them, how they are asked for, and what is refused."""

import re
from html import unescape

import httpx
import pytest

from tests.service.access.conftest import open_server
from tests.service.talk import Api

__all__ = ["open_server"]

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}


def listed(page: str) -> list[str]:
    """Return the names of the jobs of a page, in their order."""
    rows = re.findall(r'<th scope="row"><a href="/job\?id=[^"]*">([^<]*)</a>', page)
    return [unescape(name) for name in rows]


def link(page: str, words: str) -> str:
    """Return where a link of these words leads."""
    return unescape(re.findall(rf'href="([^"]*)"[^>]*>{words}</a>', page)[0])


@pytest.mark.parametrize("path", ["/", "/?prefix=none", "/trial?id=none&number=1", "/nothing", "/signin"])
def test_every_page_says_what_a_browser_may_do(visitor: httpx.Client, path: str) -> None:
    answer = visitor.get(path)
    if path != "/signin":  # nobody needs a token here
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert set(answer.headers["content-security-policy"].split("; ")) == POLICY
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert not re.search(r"\sstyle=|\son\w+=|<script(?! src)|javascript:", answer.text)


def test_a_page_lists_jobs_and_goes_on_and_back(visitor: httpx.Client, api: Api) -> None:
    names = [f"paged-{number:03}" for number in range(60)]
    for name in names:
        api.register(job_id=name, job_id_prefix="paged")
    first = visitor.get("/?prefix=paged-").text
    assert listed(first) == names[:50]
    second = visitor.get(link(first, "Next page")).text
    assert listed(second) == names[50:]
    assert "Next page" not in second
    assert listed(visitor.get(link(second, "First page")).text) == names[:50]


def test_what_is_chosen_from_stays_chosen(visitor: httpx.Client, api: Api) -> None:
    for number in range(52):
        api.register(job_id=f"kept-{number:03}", job_id_prefix="kept")
    page = visitor.get("/?prefix=kept-&stage=Pruning&activity=idle&sort=-job_id").text
    assert listed(page)[0] == "kept-051"
    assert 'value="kept-"' in page
    assert '<option value="Pruning" selected>' in page
    for words in ("Next page", "Saved", "Job"):
        address = link(page, words)
        assert "prefix=kept-" in address
        assert "stage=Pruning" in address
    assert listed(visitor.get(link(page, "Next page")).text) == ["kept-001", "kept-000"]
    assert listed(visitor.get(link(page, "Job")).text)[0] == "kept-000"


def test_columns_tell_the_order_and_turn_it(visitor: httpx.Client) -> None:
    page = visitor.get("/?sort=-last_activity").text
    if "Last activity" in page:
        assert re.search(r'aria-sort="descending"><a class="order" href="/\?sort=last_activity">', page)


def test_jobs_are_found_by_what_they_do(visitor: httpx.Client, api: Api, own: dict[str, str]) -> None:
    for name in ("doing-idle", "doing-paused", "doing-running"):
        api.register(job_id=name, job_id_prefix="doing")
    api.trial("doing-running")
    answer = visitor.post("/job/pause", data={"id": "doing-paused"}, headers=own)
    assert (answer.status_code, answer.headers["location"]) == (303, "/job?id=doing-paused")
    for activity in ("idle", "paused", "running"):
        page = visitor.get(f"/?prefix=doing-&activity={activity}").text
        assert listed(page) == [f"doing-{activity}"]
        assert f"{activity.capitalize()}</span>" in page
    visitor.post("/job/resume", data={"id": "doing-paused"}, headers=own)
    assert listed(visitor.get("/?prefix=doing-&activity=paused").text) == []


def test_trouble_is_said_in_words_with_what_to_do(visitor: httpx.Client, api: Api) -> None:
    job_id = api.register(job_id="troubled-1", job_id_prefix="troubled", max_failures=1)["job_id"]
    for _ in range(3):
        trial = api.trial(job_id)
        api.http.request("PATCH", "/trials", json={**trial, "reason": "ValueError"})
        if api.suggest(job_id).status_code != 200:
            break
    page = visitor.get("/?prefix=troubled-").text
    assert re.search(r'<span class="badge"><svg.*?</svg>(Stuck|Failing)</span>', page)
    assert "/api/v1/jobs/troubled-1/reset" in page


def test_what_is_not_known_is_said_to_be(visitor: httpx.Client, api: Api) -> None:
    api.register(job_id="fresh-1", job_id_prefix="fresh")
    page = visitor.get("/?prefix=fresh-").text
    assert page.count("not known yet") == 2
    assert "none yet" in page
    assert "never" in page


def test_savings_and_costs_are_those_of_the_trials(visitor: httpx.Client, api: Api) -> None:
    job_id = "saving-1"
    api.register(job_id=job_id, job_id_prefix="saving", eta_knob=1.0, batch_sizes=[16, 32])
    api.to_bandit(job_id, {8: 30_000.0, 16: 20_000.0, 32: 25_000.0})
    trials = [api.run(job_id) for _ in range(3)]
    page = visitor.get("/trial", params={"id": job_id, "number": trials[-1]["trial_number"]}).text
    why = visitor.get(
        f"/api/v1/jobs/{job_id}/trials/{trials[-1]['trial_number']}/decision", headers={"Accept": "*/*"}
    )
    assert why.json()["sentence"] in unescape(page)
    assert page.count("chosen</span>") == 1
    assert page.count('<svg class="arm"') == len(why.json()["arms"])
    assert "Converged" in page
    assert "Trial 1" in visitor.get("/trial", params={"id": job_id, "number": 2}).text
