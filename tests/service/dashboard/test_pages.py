"""The pages, as they are sent: what is on them, how they are asked for, and what is refused."""

import re
import sqlite3
from contextlib import closing
from html import unescape

import httpx
import pytest

from benchmarks.server import running_server
from service.dashboard.routes import routes
from tests.conftest import ROOT
from tests.service.talk import Api

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


def unnested(page: str) -> str:
    """Return a page without what only keeps words together."""
    return re.sub(r'<span class="nowrap">([^<]*)</span>', r"\1", page)


def link(page: str, words: str) -> str:
    """Return where a link of these words leads."""
    return unescape(re.findall(rf'href="([^"]*)"[^>]*>{words}</a>', page)[0])


@pytest.fixture(scope="module")
def paged(visitor: httpx.Client) -> list[str]:
    """Return the names of jobs that are two more than a page has."""
    names = [f"paged-{number:03}" for number in range(52)]
    for name in names:
        Api(visitor).register(job_id=name, job_id_prefix="paged")
    return names


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


def test_a_page_lists_jobs_and_goes_on_and_back(visitor: httpx.Client, paged: list[str]) -> None:
    first = visitor.get("/?prefix=paged-").text
    assert listed(first) == paged[:50]
    second = visitor.get(link(first, "Next page")).text
    assert listed(second) == paged[50:]
    assert "Next page" not in second
    assert listed(visitor.get(link(second, "First page")).text) == paged[:50]


def test_what_is_chosen_from_stays_chosen(visitor: httpx.Client, paged: list[str]) -> None:
    page = visitor.get("/?prefix=paged-&stage=Pruning&activity=idle&sort=-job_id").text
    assert listed(page)[0] == paged[-1]
    assert 'value="paged-"' in page
    assert '<option value="Pruning" selected>' in page
    for words in ("Next page", "Saved", "Job"):
        address = link(page, words)
        assert "prefix=paged-" in address
        assert "stage=Pruning" in address
    assert listed(visitor.get(link(page, "Next page")).text) == [paged[1], paged[0]]
    assert listed(visitor.get(link(page, "Job")).text)[0] == paged[0]


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
    assert api.run(job_id, energy=40_000.0)["batch_size"] == 16
    assert api.run(job_id, energy=10_000.0, time=50.0)["batch_size"] == 32
    page = visitor.get("/?prefix=saving-").text
    # Two trainings at 40 kJ and 100 s would have taken 80 kJ and 200 s.
    assert re.search(
        r'<strong class="good">38 %</strong>\s*<span class="muted">30.0 kJ, 50.0 s<', unnested(page)
    )
    assert "the latest that converged cost 10.0 kJ" in page
    assert "the default batch size 40.0 kJ" in page
    assert re.search(r"<strong>32</strong>\s*<span[^>]*>default 16<", page)


def test_names_are_text_whatever_they_are(visitor: httpx.Client, api: Api) -> None:
    name = "odd-<script>alert(1)</script>&\"'/é?#%"
    api.register(job_id=name, job_id_prefix="odd-<")
    api.trial(name)
    page = visitor.get("/", params={"prefix": "odd-<"}).text
    assert listed(page) == [name]
    assert "<script>alert" not in page
    trial = visitor.get("/trial", params={"id": name, "number": 1})
    assert trial.status_code == 200
    assert "<script>alert" not in trial.text
    assert unescape(re.findall(r"<title>(.*)</title>", trial.text)[0]).startswith(f"Trial 1 of {name}")


@pytest.mark.parametrize(
    "query",
    [
        "stage=None",
        "activity=<b>",
        "trouble=x",
        "sort=size",
        "cursor=x",
        "prefix=%00",
        f"prefix={'a' * 401}",
    ],
)
def test_what_cannot_be_asked_for_is_said_in_words(visitor: httpx.Client, query: str) -> None:
    answer = visitor.get(f"/?{query}")
    assert answer.status_code == 422
    assert "That cannot be asked" in answer.text
    assert "<b>" not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/trial", 422),
        ("/trial?id=nobodys", 422),
        ("/trial?id=nobodys&number=0", 422),
        ("/trial?id=nobodys&number=1", 404),
        ("/trial?id=%00&number=1", 422),
        ("/nothing", 404),
        ("/static/0/style.css.map", 404),
        ("/job/pause", 405),
    ],
)
def test_refusals_are_pages_for_people_and_problems_for_programs(
    visitor: httpx.Client, path: str, status: int
) -> None:
    answer = visitor.get(path)
    assert answer.status_code == status
    assert "<h1>" in answer.text
    problem = visitor.get(path, headers={"Accept": "*/*"})
    assert problem.status_code == status
    assert problem.json()["status"] == status


def test_every_page_is_documented_and_no_other() -> None:
    table = (ROOT / "docs" / "reference.md").read_text().split("| page |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `([^`]+)` ", table, re.MULTILINE)) == {route.path for route in routes}


def test_calls_of_programs_are_refused_as_ever(visitor: httpx.Client) -> None:
    assert visitor.get("/api/v1/nothing").json()["status"] == 404


def test_a_page_says_that_the_database_is_away_and_is_tried_again() -> None:
    headers = {"Accept": "text/html"}
    with (
        running_server() as server,
        closing(sqlite3.connect(server.database)) as beside,
        httpx.Client(base_url=server.url, headers=headers, trust_env=False) as visitor,
    ):
        beside.execute('ALTER TABLE "Job" RENAME TO "Away"')
        for path in ("/?stage=MAB", "/job?id=a", "/trial?id=a&number=1"):
            answer = visitor.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert link(answer.text, "Try again") == path
        beside.execute('ALTER TABLE "Away" RENAME TO "Job"')
        assert visitor.get("/").is_success


def test_a_link_of_another_site_leads_on_by_itself(visitor: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = visitor.get("/trial?id=a%22b&number=2", headers=headers)
    assert answer.status_code == 403
    assert '<meta http-equiv="refresh" content="0">' in answer.text
    assert 'href="/trial?id=a%22b&amp;number=2"' in answer.text


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}),
        ("GET", "/", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", "//evil.example", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
        ("GET", "/jobs/batch_size", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
        ("POST", "/job/pause", {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}),
    ],
)
def test_nothing_else_does(visitor: httpx.Client, method: str, path: str, headers: dict[str, str]) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", **headers}
    answer = visitor.request(method, f"{visitor.base_url}{path}", headers=headers)
    assert answer.status_code == 403
    assert "refresh" not in answer.text
    assert "evil.example" not in answer.text


def test_a_trial_tells_why_it_has_its_batch_size_and_what_came_of_it(visitor: httpx.Client, api: Api) -> None:
    job_id = api.register(job_id="told-1", job_id_prefix="told", mab_num_explorations=1)["job_id"]
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
