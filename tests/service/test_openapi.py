"""/openapi.json says what the service does."""

import re
from typing import Any

import httpx
import pytest

from service.web.routes import Resource, guarded, routes


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    """Return the document."""
    answer = http.get("/openapi.json")
    assert answer.status_code == 200
    return dict(answer.json())


def test_every_call_is_described_and_no_other(document: dict[str, Any]) -> None:
    served = {
        route.path_format: set(route.endpoint.methods) - {"HEAD"}
        for route in routes
        if isinstance(route.endpoint, Resource)
    }
    assert len(served) == len(routes)
    described = {path: {method.upper() for method in calls} for path, calls in document["paths"].items()}
    assert described == served


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert names == set(document["components"]["schemas"])


def test_every_call_says_what_it_answers(document: dict[str, Any]) -> None:
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            assert call["summary"], path
            assert set(call["responses"]) & {"200", "201"}, (path, method)
            assert ("503" in call["responses"]) == (path not in {"/healthz", "/openapi.json"})


def test_every_call_says_whether_it_needs_a_token(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    for path, calls in document["paths"].items():
        for method, call in calls.items():
            is_guarded = f"{method.upper()} {path}" in guarded
            assert call.get("security", []) == ([{"bearer": []}, {"basic": []}] if is_guarded else [])
            assert {scheme for choice in call.get("security", []) for scheme in choice} <= set(schemes)
            assert ("401" in call["responses"]) == is_guarded


def test_every_link_leads_to_a_call_and_carries_what_it_takes(document: dict[str, Any]) -> None:
    calls = {call["operationId"]: call for path in document["paths"].values() for call in path.values()}
    assert len(calls) == sum(map(len, document["paths"].values()))
    links = [
        link
        for call in calls.values()
        for response in call["responses"].values()
        for link in response.get("links", {}).values()
    ]
    assert {link["operationId"] for link in links} >= {
        "post_jobs",
        "post_report",
        "patch_trials",
        "delete_jobs",
    }
    for link in links:
        target = calls[link["operationId"]]
        assert ("requestBody" in link) == ("requestBody" in target)
        required = {p["name"] for p in target.get("parameters", []) if p["required"]}
        assert link.get("parameters", {}).keys() == required


def test_a_503_says_when_to_come_back(document: dict[str, Any]) -> None:
    unavailable = document["paths"]["/report"]["post"]["responses"]["503"]
    assert unavailable["headers"]["Retry-After"]["schema"] == {"const": "1"}
