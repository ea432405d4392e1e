"""Signing in with a token: who may, what the cookie is good for, and what no other page can do with it."""

from collections.abc import Iterator

import httpx
import pytest

from benchmarks.server import Server
from service.credentials import Role
from service.dashboard.signing_in import onward_of
from service.web.access import COOKIE
from tests.service.access.holders import Guarded, client, make_token, revoke, until
from tests.service.talk import Api

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def browser(guarded: Guarded) -> Iterator[httpx.Client]:
    """Return a client that keeps cookies, as a browser does."""
    with httpx.Client(base_url=guarded.server.url, timeout=30, trust_env=False, headers=BROWSER) as opened:
        yield opened


def own(browser: httpx.Client) -> dict[str, str]:
    """Return what a browser says where a form of the service's own is sent."""
    return {"Origin": str(browser.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}


def sign_in(browser: httpx.Client, token: str, onward: str = "/") -> httpx.Response:
    """Send the form."""
    return browser.post("/signin", data={"token": token, "next": onward}, headers=own(browser))


def test_a_page_asks_to_sign_in_and_leads_back(browser: httpx.Client, guarded: Guarded) -> None:
    answer = browser.get("/trial?id=a%26b&number=3")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/signin?next=%2Ftrial%3Fid%3Da%2526b%26number%3D3"
    asked = browser.get(answer.headers["location"])
    assert asked.status_code == 200
    assert 'value="/trial?id=a%26b&amp;number=3"' in asked.text
    answer = sign_in(browser, guarded.tokens[Role.READER], "/trial?id=a%26b&number=3")
    assert (answer.status_code, answer.headers["location"]) == (303, "/trial?id=a%26b&number=3")


def test_the_cookie_is_no_scripts_and_no_other_sites(browser: httpx.Client, guarded: Guarded) -> None:
    answer = sign_in(browser, guarded.tokens[Role.READER])
    name, _, attributes = answer.headers["set-cookie"].partition("=")
    assert name == COOKIE
    words = {word.strip().lower() for word in attributes.split(";")[1:]}
    assert words == {"httponly", "path=/", "samesite=strict"}


def test_behind_a_proxy_that_ends_tls_the_cookie_is_for_tls_alone(
    browser: httpx.Client, guarded: Guarded
) -> None:
    headers = {"Origin": str(browser.base_url).rstrip("/").replace("http:", "https:")}
    answer = browser.post("/signin", data={"token": guarded.tokens[Role.READER]}, headers=headers)
    assert "; secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("role", [Role.READER, Role.OPERATOR, Role.ADMIN])
def test_who_reads_is_let_in_until_signing_out(browser: httpx.Client, guarded: Guarded, role: Role) -> None:
    sign_in(browser, guarded.tokens[role])
    page = browser.get("/")
    assert page.status_code == 200
    assert str(role) in page.text
    assert browser.get("/signin?next=/job%3Fid%3D1").headers["location"] == "/job?id=1"
    assert browser.post("/signout", headers=own(browser)).headers["location"] == "/signin"
    assert browser.get("/").status_code == 303


@pytest.mark.parametrize(("status", "which"), [(401, "none"), (401, "revoked"), (403, "trainer")])
def test_who_does_not_is_told_why(browser: httpx.Client, guarded: Guarded, status: int, which: str) -> None:
    token = {"none": "bb_none_such", "revoked": guarded.revoked, "trainer": guarded.tokens[Role.TRAINER]}
    answer = sign_in(browser, token[which])
    assert answer.status_code == status
    assert 'role="alert"' in answer.text
    assert token[which] not in answer.text
    assert "set-cookie" not in answer.headers


def test_a_token_that_is_revoked_while_somebody_is_signed_in(browser: httpx.Client, guarded: Guarded) -> None:
    token = make_token(guarded.server.database_url, Role.READER)
    until(lambda: sign_in(browser, token).status_code == 303)
    assert browser.get("/").status_code == 200
    revoke(guarded.server.database_url, token)
    until(lambda: browser.get("/").status_code == 303)
    assert "no longer in force" in browser.get("/signin").text


def test_signing_in_works_for_the_jobs_of_a_prefix(browser: httpx.Client, guarded: Guarded) -> None:
    with client(guarded.server, guarded.tokens[Role.OPERATOR]) as operator:
        api = Api(operator)
        for name in ("seen-1", "unseen-1"):
            api.register(job_id=name, job_id_prefix=name[:2])
            api.trial(name)
    token = make_token(guarded.server.database_url, Role.READER, "seen-")
    until(lambda: sign_in(browser, token).status_code == 303)
    page = browser.get("/").text
    assert "seen-1" in page
    assert "unseen-1" not in page
    assert "unseen-1" not in browser.get("/?prefix=un").text
    assert browser.get("/trial?id=seen-1&number=1").status_code == 200
    refused = browser.get("/trial?id=unseen-1&number=1")
    assert refused.status_code == 403
    assert "seen-" in refused.text


FOREIGN = [
    {},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_a_cookie_changes_nothing_for_other_pages(
    browser: httpx.Client, guarded: Guarded, headers: dict[str, str]
) -> None:
    with client(guarded.server, guarded.tokens[Role.OPERATOR]) as operator:
        api = Api(operator)
        job_id = api.register()["job_id"]
        sign_in(browser, guarded.tokens[Role.ADMIN])
        for method, path, data in (
            ("POST", "/job/pause", {"id": job_id}),
            ("POST", f"/api/v1/jobs/{job_id}/pause", None),
            ("POST", f"/api/v1/jobs/{job_id}/reset", None),
            ("GET", f"/jobs/batch_size?job_id={job_id}", None),
            ("DELETE", f"/jobs?job_id={job_id}", None),
            ("POST", "/signout", None),
        ):
            answer = browser.request(method, path, data=data, headers=headers)
            assert answer.status_code == 403, (method, path)
        assert api.trial(job_id)["trial_number"] == 1
    assert browser.get("/").status_code == 200


def test_a_cookie_reads_where_nothing_says_whose_page_asks(browser: httpx.Client, guarded: Guarded) -> None:
    sign_in(browser, guarded.tokens[Role.READER])
    assert browser.get("/metrics", headers={"Accept": "*/*"}).status_code == 200
    foreign = {"Accept": "*/*", "Sec-Fetch-Site": "cross-site"}
    assert browser.get("/metrics", headers=foreign).status_code == 403


def test_what_programs_send_goes_before_the_cookie(browser: httpx.Client, guarded: Guarded) -> None:
    sign_in(browser, guarded.tokens[Role.ADMIN])
    for wrong in ("Bearer nonsense", "Digest nonsense"):
        answer = browser.get("/metrics", headers={"Authorization": wrong, "Accept": "*/*"})
        assert answer.status_code == 401


def test_the_form_is_for_the_services_own_page_alone(browser: httpx.Client, guarded: Guarded) -> None:
    for headers in FOREIGN:
        answer = browser.post("/signin", data={"token": guarded.tokens[Role.READER]}, headers=headers)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "onward",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "https:evil.example",
        "http:/evil.example",
        "javascript:alert(1)",
        "/job\\..\\..",
        "/job?id=1\r\nSet-Cookie: a=b",
        "/job\t?id=1",
        " /job",
        "/job/pause",
        "/signout",
        "/static/../signout",
        "/metrics",
        "job",
        "[",
        "http://[",
        "",
    ],
)
def test_nobody_is_led_elsewhere(onward: str) -> None:
    assert onward_of(onward) == "/"


@pytest.mark.parametrize(
    "onward", ["/", "/?prefix=a%2F%2Fb", "/job?id=%5C", "/trial?id=a&number=2", "/job?id=a#why"]
)
def test_pages_are_led_back_to(onward: str) -> None:
    assert onward_of(onward) == onward


def test_where_nobody_needs_a_token_there_is_nothing_to_sign_in_to(open_server: Server) -> None:
    with httpx.Client(base_url=open_server.url, trust_env=False, headers=BROWSER) as browser:
        assert browser.get("/").status_code == 200
        assert browser.get("/signin?next=/job%3Fid%3D1").headers["location"] == "/job?id=1"
        assert "Sign out" not in browser.get("/").text


def test_a_page_whose_address_was_written_by_hand_is_led_back_to(
    browser: httpx.Client, guarded: Guarded
) -> None:
    onward = "/job?id=日é%2F&eta=0.5"
    answer = sign_in(browser, guarded.tokens[Role.READER], onward)
    there = "/job?id=%E6%97%A5%C3%A9%2F&eta=0.5"
    assert (answer.status_code, answer.headers["location"]) == (303, there)
    assert browser.get("/signin", params={"next": onward}).headers["location"] == there


def test_the_form_is_asked_for_by_head_too(browser: httpx.Client) -> None:
    assert (browser.head("/signin").status_code, browser.head("/signin").content) == (200, b"")


def test_a_form_of_too_many_fields_is_refused(browser: httpx.Client) -> None:
    fields = "&".join(f"f{number}=1" for number in range(1000))
    assert browser.post("/signin", content=fields, headers=own(browser)).status_code == 422
    assert browser.post("/signin", content=b"\xff=%ff", headers=own(browser)).status_code == 422
