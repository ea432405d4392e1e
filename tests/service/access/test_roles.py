"""Every call as every holder of a token, and as everybody else."""

import base64

import httpx
import pytest

from service.credentials import Role
from service.web.access import Call
from service.web.routes import Resource, routes
from tests.service.access.holders import Guarded, bearer, client, path_of

MAY = {
    Role.ADMIN: {Role.ADMIN, Role.OPERATOR, Role.TRAINER, Role.READER},
    Role.OPERATOR: {Role.OPERATOR, Role.TRAINER, Role.READER},
    Role.TRAINER: {Role.TRAINER},
    Role.READER: {Role.READER},
}
"""What a holder of each role may do: what needs which."""

CALLS = [
    (method, route.path, call)
    for route in routes
    if isinstance(route.endpoint, Resource)
    for method, call in route.endpoint.calls.items()
]


def test_every_route_declares_what_each_of_its_methods_needs() -> None:
    assert {type(route.endpoint) for route in routes} == {Resource}
    assert CALLS
    for method, path, call in CALLS:
        assert isinstance(call, Call), (method, path)
        assert call.role is None or isinstance(call.role, Role), (method, path)


def test_what_needs_no_token_tells_nothing_of_jobs_and_changes_nothing() -> None:
    public = {path for _, path, call in CALLS if call.role is None}
    assert public == {"/healthz", "/readyz", "/openapi.json"}
    assert {method for method, _, call in CALLS if call.role is None} == {"GET", "HEAD"}


def test_what_takes_something_away_needs_an_operator() -> None:
    assert {call.role for method, _, call in CALLS if method == "DELETE"} == {Role.OPERATOR}


@pytest.mark.parametrize(
    ("method", "path", "call"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS]
)
@pytest.mark.parametrize("role", list(Role))
def test_a_call_is_for_the_roles_that_include_what_it_needs(
    guarded: Guarded, method: str, path: str, call: Call, role: Role
) -> None:
    # The answer may be one without end.
    with client(guarded.server, guarded.tokens[role]) as http, http.stream(method, path_of(path)) as answer:
        if answer.is_error:
            answer.read()
    if call.role is None or call.role in MAY[role]:
        assert answer.status_code not in {401, 403}, answer.text
        assert answer.status_code < 500, answer.text
    else:
        assert answer.status_code == 403
        assert method == "HEAD" or answer.json()["type"] == "urn:batchbandit:problem:forbidden"


def strangers(guarded: Guarded) -> dict[str, str | None]:
    """Return what those send who have no token in force."""
    token = guarded.tokens[Role.ADMIN]
    mark, token_id, secret = token.split("_", 2)
    password = base64.b64encode(f"user:{token}".encode()).decode()
    return {
        "nothing": None,
        "an empty header": "",
        "a revoked token": f"Bearer {guarded.revoked}",
        "a wrong secret": f"Bearer {mark}_{token_id}_{secret[:-1]}",
        "no secret": f"Bearer {mark}_{token_id}_",
        "an unknown token": f"Bearer {mark}_000000000000_{secret}",
        "another mark": f"Bearer xx_{token_id}_{secret}",
        "no credentials": "Bearer",
        "another scheme": f"Digest {token}",
        "the token as the user": f"Basic {base64.b64encode(token.encode()).decode()}",
        "a password that is no base64": f"Basic {password[1:]}!",
        "the token as it is": token,
    }


@pytest.mark.parametrize(
    ("method", "path", "call"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS]
)
def test_a_call_that_needs_a_role_is_for_nobody_without_a_token(
    guarded: Guarded, method: str, path: str, call: Call
) -> None:
    with client(guarded.server) as http:
        for who, header in strangers(guarded).items():
            headers = {} if header is None else {"Authorization": header}
            answer = http.request(method, path_of(path), headers=headers)
            if call.role is None:
                assert answer.status_code == 200, who
                continue
            assert answer.status_code == 401, who
            # A challenge of Basic would make browsers keep a token and send it for any page.
            assert answer.headers["www-authenticate"] == 'Bearer realm="batchbandit"'
            assert method == "HEAD" or answer.json()["type"] == "urn:batchbandit:problem:unauthorized"


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_is_taken_as_a_bearer(guarded: Guarded, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {guarded.tokens[Role.READER]}"}
    with client(guarded.server) as http:
        assert http.get("/metrics", headers=headers).status_code == 200


@pytest.mark.parametrize("user", ["job", "", "a user with spaces", "ü"])
def test_a_token_is_taken_as_the_password_of_any_user(guarded: Guarded, user: str) -> None:
    credentials = base64.b64encode(f"{user}:{guarded.tokens[Role.READER]}".encode()).decode()
    with client(guarded.server) as http:
        assert http.get("/metrics", headers={"Authorization": f"Basic {credentials}"}).status_code == 200


def test_who_may_not_register_is_not_told_what_is_wrong_with_a_job(guarded: Guarded) -> None:
    headers = bearer(guarded.tokens[Role.READER])
    body = b'{"job_id": "refused", "job_id_prefix": ""}'
    refused = httpx.post(f"{guarded.server.url}/jobs", content=body, headers=headers, trust_env=False)
    assert refused.status_code == 403
