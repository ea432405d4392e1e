"""A page of another site cannot drive the service, nor can one whose name is made to point at it."""

import httpx
import pytest

from benchmarks.server import Server
from service.web.routes import Resource, routes
from tests.service.access.holders import path_of
from tests.service.tables import Tables
from tests.service.talk import Api, job_body

CALLS = [
    (method, path_of(route.path))
    for route in routes
    if isinstance(route.endpoint, Resource)
    for method in route.endpoint.methods
]
FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "something new"},
    {"Origin": "http://localhost:1"},
]
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def address(server: Server) -> str:
    """Return the host and port of a server."""
    return server.url.removeprefix("http://")


@pytest.mark.parametrize(
    ("method", "path"), [*CALLS, ("GET", "/"), ("GET", "/nothing"), ("OPTIONS", "/report")]
)
def test_no_call_is_for_pages_of_other_sites(http: httpx.Client, method: str, path: str) -> None:
    for headers in FOREIGN:
        answer = http.request(method, path, headers=headers)
        assert answer.status_code == 403, headers
        assert method == "HEAD" or answer.json()["type"] == "urn:batchbandit:problem:foreign-origin"


def test_an_image_tag_dispatches_no_trial(http: httpx.Client, api: Api, tables: Tables) -> None:
    job_id = api.register()["job_id"]
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    answer = http.get("/jobs/batch_size", params={"job_id": job_id}, headers=headers)
    assert answer.status_code == 403
    assert tables.rows('SELECT * FROM "Trial" WHERE job_id = :job', job=job_id) == []


def test_a_form_registers_no_job(http: httpx.Client, tables: Tables) -> None:
    body = job_body()
    headers = {"Origin": "null", "Content-Type": ""}
    assert http.post("/jobs", json=body, headers=headers).status_code == 403
    assert tables.rows('SELECT * FROM "Job" WHERE job_id = :job', job=body["job_id"]) == []


def test_no_preflight_allows_anything(http: httpx.Client) -> None:
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answer = http.options("/jobs", headers=headers)
    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_programs_and_the_services_own_pages_pass(http: httpx.Client, server: Server) -> None:
    own = address(server)
    for headers in (
        {},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"},
        {"Origin": f"https://{own}"},
    ):
        assert http.get("/openapi.json", headers=headers).status_code == 200, headers


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:80", "localhost", "LocalHost:1", "localhost.", "[::1]:8000"]
)
def test_the_service_goes_by_the_names_of_this_machine(http: httpx.Client, host: str) -> None:
    assert http.get("/healthz", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "rebound.example",
        "rebound.example:8000",
        "localhost.rebound.example",
        "rebound.localhost.example",
        "127.0.0.1.rebound.example",
        "0.0.0.0",  # noqa: S104  (no address to listen on here)
        "203.0.113.7",
        "[::2]",
        "[::1",
        "",
        "a" * 5000,
        "é",
    ],
)
def test_it_goes_by_no_other_name(http: httpx.Client, host: str) -> None:
    answer = http.get("/healthz", headers={b"Host": host.encode("latin-1")})
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:batchbandit:problem:unknown-host"
    assert len(answer.content) < 1000
    assert http.get("/healthz", headers={b"Host": host.encode("latin-1")}).status_code == 421


def test_a_page_under_a_rebound_name_is_its_own_origin_and_refused_all_the_same(http: httpx.Client) -> None:
    headers = {"Host": "rebound.example", "Origin": "http://rebound.example", "Sec-Fetch-Site": "same-origin"}
    assert http.post("/jobs", json=job_body(), headers=headers).status_code == 421


@pytest.mark.parametrize(("method", "path"), [*CALLS, ("GET", "/nothing"), ("TRACE", "/report")])
@pytest.mark.parametrize("headers", [{}, {"Host": "rebound.example"}, {"Origin": "null"}])
def test_every_answer_has_the_headers_that_browsers_heed(
    http: httpx.Client, method: str, path: str, headers: dict[str, str]
) -> None:
    with http.stream(method, path, headers=headers) as answer:  # it may be one without end
        if "content-length" in answer.headers:
            answer.read()
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "strict-transport-security" not in answer.headers
    assert "server" not in answer.headers
