"""/openapi.json says what the service does."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from service.web.routes import Resource, guarded, routes
from tests.service.talk import Api


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
        "patch_api_v1_jobs_job_id",
        "post_api_v1_jobs_job_id_pause",
        "post_api_v1_jobs_job_id_resume",
    }
    for link in links:
        target = calls[link["operationId"]]
        assert ("requestBody" in link) == ("requestBody" in target)
        required = {p["name"] for p in target.get("parameters", []) if p["required"]}
        assert link.get("parameters", {}).keys() == required


def test_a_503_says_when_to_come_back(document: dict[str, Any]) -> None:
    unavailable = document["paths"]["/report"]["post"]["responses"]["503"]
    assert unavailable["headers"]["Retry-After"]["schema"] == {"const": "1"}


def bodies(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Go through the bodies of API v1: the call, the media type, and what is said of it."""
    for path, calls in document["paths"].items():
        for method, call in calls.items() if path.startswith("/api/v1/") else ():
            for body in (call.get("requestBody", {}), *call["responses"].values()):
                for kind, said in body.get("content", {}).items():
                    yield f"{method} {path}", kind, said


def test_every_json_body_of_api_v1_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    seen = set()
    for call, kind, said in bodies(document):
        if kind not in {"application/json", "application/problem+json"}:
            continue
        examples = [said["example"]] if "example" in said else []
        for example in said.get("examples", {}).values():
            name = example["$ref"].removeprefix("#/components/examples/")
            examples.append(document["components"]["examples"][name]["value"])
        assert examples, (call, kind)
        schema = said["schema"] | {"components": document["components"]}
        for example in examples:
            Draft202012Validator(schema).validate(example)
        seen.add(call)
    assert {call.partition(" ")[2] for call in seen} >= {
        "/api/v1/jobs",
        "/api/v1/jobs/{job_id}",
        "/api/v1/reports",
    }


def test_an_example_of_a_problem_is_of_the_status_that_it_stands_at(document: dict[str, Any]) -> None:
    for status, example in document["components"]["examples"].items():
        assert example["value"]["status"] == int(status)
    used = {
        (status, content["examples"]["problem"]["$ref"].rpartition("/")[2])
        for path, calls in document["paths"].items()
        if path.startswith("/api/v1/")
        for call in calls.values()
        for status, response in call["responses"].items()
        for kind, content in response["content"].items()
        if kind == "application/problem+json"
    }
    assert used
    assert all(status == named for status, named in used)
    assert {named for _, named in used} <= document["components"]["examples"].keys()


def test_an_example_is_what_its_call_answers(document: dict[str, Any], api: Api) -> None:
    """A job is registered and shown: what is answered has the members that the examples have."""
    job_id = api.register()["job_id"]
    api.run(job_id)
    paths = {
        "/api/v1/jobs": "/api/v1/jobs",
        "/api/v1/jobs/{job_id}": f"/api/v1/jobs/{job_id}",
        "/api/v1/jobs/{job_id}/trials": f"/api/v1/jobs/{job_id}/trials",
        "/api/v1/jobs/{job_id}/trials/{trial_number}": f"/api/v1/jobs/{job_id}/trials/1",
        "/api/v1/jobs/{job_id}/trials/{trial_number}/decision": f"/api/v1/jobs/{job_id}/trials/1/decision",
    }
    for path, asked in paths.items():
        said = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        answer = api.http.get(asked).json()
        assert answer.keys() == said["example"].keys()
        Draft202012Validator(said["schema"] | {"components": document["components"]}).validate(answer)


def test_what_a_query_may_have_is_described(document: dict[str, Any], http: httpx.Client) -> None:
    for path in ("/api/v1/jobs", "/api/v1/jobs/{job_id}/export"):
        described = document["paths"][path]["get"]["parameters"]
        names = {parameter["name"] for parameter in described if parameter["in"] == "query"}
        message = http.get(path.replace("{job_id}", "x"), params={"colour": "red"}).json()["message"]
        assert message.partition("Expected one of ")[2].split(", ") == [
            parameter["name"] for parameter in described if parameter["in"] == "query"
        ]
        assert names
