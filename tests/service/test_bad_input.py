"""What is wrong with a request is said in a sentence, and nothing is written."""

import json
import socket
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from typing import Any

import httpx
import pytest

from benchmarks.server import Server, running_server
from tests.service.tables import Tables, open_tables
from tests.service.talk import Api, job_body, report_body


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Return a server of few jobs: all that it keeps is read before each test and after it."""
    url = request.getfixturevalue("new_postgres_url")() if request.param == "postgres" else None
    with running_server(url) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    """Return a client of that server."""
    with httpx.Client(base_url=server.url, timeout=30, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def tables(server: Server) -> Iterator[Tables]:
    """Return a reader of that server's database."""
    with open_tables(server.database_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _nothing_is_written(tables: Tables, trial: dict[str, Any]) -> Iterator[None]:
    assert trial
    before = tables.contents()
    yield
    assert tables.contents() == before


@pytest.fixture
def trial(api: Api) -> dict[str, Any]:
    """Return a Dispatched trial."""
    return api.trial(api.register()["job_id"])


def refused(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Check the form of a refusal; return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["type"].startswith("urn:batchbandit:problem:")
    assert body["title"]
    assert len(body["message"]) > 10
    assert len(answer.content) < 4096, "a refusal does not echo what it was sent"
    if status == 422:
        assert all({"loc", "msg", "type"} == set(flaw) for flaw in body["detail"])
    return body


BIG = 2**31
JOB_FLAWS: list[tuple[str, Any]] = [
    ("job_id", ""),
    ("job_id", "other-name"),
    ("job_id", "job" + "x" * 400),
    ("job_id", "job\x00"),
    ("job_id", 7),
    ("job_id_prefix", ...),
    ("job_id_prefix", None),
    ("job_id_prefix", "x" * 301),
    ("batch_sizes", ...),
    ("batch_sizes", []),
    ("batch_sizes", [8, 16, 16]),
    ("batch_sizes", [0, 16]),
    ("batch_sizes", [-8, 16]),
    ("batch_sizes", [16, 16.5]),
    ("batch_sizes", [16, "32"]),
    ("batch_sizes", [16, True]),
    ("batch_sizes", [16, BIG]),
    ("batch_sizes", [16, 2**64]),
    ("batch_sizes", 16),
    ("batch_sizes", {"16": 16}),
    ("batch_sizes", list(range(1, 1002))),
    ("batch_sizes", list(range(1, 40_001))),
    ("default_batch_size", ...),
    ("default_batch_size", 64),
    ("default_batch_size", 0),
    ("default_batch_size", "16"),
    ("default_batch_size", 16.0),
    ("eta_knob", -0.1),
    ("eta_knob", 1.1),
    ("eta_knob", None),
    ("eta_knob", "0.5"),
    ("eta_knob", True),
    ("beta_knob", 0),
    ("beta_knob", -1),
    ("target_metric", "high"),
    ("higher_is_better_metric", 1),
    ("higher_is_better_metric", "true"),
    ("max_epochs", 0),
    ("max_epochs", BIG),
    ("max_epochs", 10.5),
    ("num_pruning_rounds", -1),
    ("num_pruning_rounds", BIG),
    ("window_size", BIG),
    ("window_size", 2.5),
    ("mab_prior_mean", "0"),
    ("mab_prior_precision", -1e-9),
    ("mab_num_explorations", -1),
    ("mab_seed", -1),
    ("mab_seed", 2**63),
    ("mab_seed", 2**70),
    ("mab_seed", 0.5),
    ("max_power", ...),
    ("max_power", 0),
    ("max_power", -200),
    ("number_of_gpus", 0),
    ("number_of_gpus", ...),
    ("gpu_model", ""),
    ("gpu_model", ...),
    ("gpu_model", "x" * 301),
]


@pytest.mark.parametrize(("member", "value"), JOB_FLAWS, ids=lambda value: str(value)[:24])
def test_a_specification_with_a_flaw_is_refused_by_name(
    http: httpx.Client, member: str, value: object
) -> None:
    body = refused(http.post("/jobs", json=job_body(**{member: value})), 422)
    assert body["detail"][0]["loc"][:2] == ["body", member]
    assert member in body["message"]


REPORT_FLAWS: list[tuple[str, Any]] = [
    *((name, ...) for name in report_body({"job_id": "", "batch_size": 1, "trial_number": 1})),
    ("job_id", None),
    ("job_id", "x" * 401),
    ("batch_size", 0),
    ("batch_size", BIG),
    ("trial_number", 0),
    ("trial_number", -1),
    ("trial_number", 2**64),
    ("trial_number", "1"),
    ("trial_number", 1.5),
    ("trial_number", True),
    ("time", 0),
    ("time", -1.0),
    ("time", "100"),
    ("time", None),
    ("energy", -1.0),
    ("energy", False),
    ("metric", "0.9"),
    ("metric", None),
    ("current_epoch", 0),
    ("current_epoch", -1),
    ("current_epoch", 1.5),
    ("current_epoch", BIG),
]


@pytest.mark.parametrize(("member", "value"), REPORT_FLAWS, ids=lambda value: str(value)[:24])
def test_a_report_with_a_flaw_is_refused_by_name(
    http: httpx.Client, trial: dict[str, Any], member: str, value: object
) -> None:
    said = {name: v for name, v in (report_body(trial) | {member: value}).items() if v is not ...}
    body = refused(http.post("/report", json=said), 422)
    assert body["detail"][0]["loc"] == ["body", member]
    assert member in body["message"]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize("member", ["time", "energy", "current_epoch", "batch_size", "trial_number"])
def test_no_number_but_the_metric_may_be_infinite(
    http: httpx.Client, trial: dict[str, Any], member: str, token: str
) -> None:
    text = json.dumps(report_body(trial, **{member: "@"})).replace('"@"', token)
    body = refused(http.post("/report", content=text), 422)
    assert body["detail"][0]["loc"] == ["body", member]


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e400"])
@pytest.mark.parametrize(
    "member", ["eta_knob", "beta_knob", "target_metric", "mab_prior_mean", "mab_prior_precision", "max_power"]
)
def test_no_number_of_a_specification_may_be_infinite(http: httpx.Client, member: str, token: str) -> None:
    text = json.dumps(job_body(**{member: "@"})).replace('"@"', token)
    assert refused(http.post("/jobs", content=text), 422)["detail"][0]["loc"] == ["body", member]


@pytest.mark.parametrize("token", ["NaN", "-Infinity", "1e400", "9" * 400 + ".0", '[1, {"a": 1E+999}]'])
def test_no_number_of_an_unknown_member_may_be_infinite(
    http: httpx.Client, trial: dict[str, Any], token: str
) -> None:
    text = json.dumps(report_body(trial, unknown="@", metric=0.1)).replace('"@"', token)
    assert refused(http.post("/report", content=text), 422)["detail"][0]["loc"][:2] == ["body", "unknown"]


def test_what_a_client_made_up_is_not_sent_back_whole(http: httpx.Client) -> None:
    for text in ('{"%s": NaN}' % ("k" * 1_000_000), '{"a":' * 60 + "NaN" + "}" * 60):
        refused(http.post("/report", content=text), 422)


@pytest.mark.parametrize("call", ["/report", "/api/v1/reports"])
@pytest.mark.parametrize("unit", ["[1],", "{},", "1,", '"\\ud800",'])
def test_a_body_of_too_many_values_is_not_looked_at(http: httpx.Client, call: str, unit: str) -> None:
    text = '{"metric": NaN, "u": [' + unit * 55_000 + "1]}"
    assert "50000" in refused(http.post(call, content=text), 422)["message"]


def test_a_large_body_of_fewer_values_is_looked_through(http: httpx.Client) -> None:
    text = '{"metric": NaN, "u": [' + "[1]," * 24_000 + "NaN]}"
    assert refused(http.post("/report", content=text), 422)["detail"][0]["loc"][:2] == ["body", "u"]


def test_a_large_body_of_long_numbers_is_fine(http: httpx.Client) -> None:
    report = report_body({"job_id": "nobody", "batch_size": 8, "trial_number": 1}, unknown="@")
    text = json.dumps(report).replace('"@"', "[" + ",".join(["9" * 299] * 3000) + "]")
    assert refused(http.post("/report", content=text), 400)["type"].endswith(":unknown-job")


DEEP = 100_000
BODIES: dict[str, bytes] = {
    "nothing": b"",
    "not JSON": b"batch_size=16",
    "cut short": b'{"job_id": "job-1"',
    "with a tail": b"{}{}",
    "invalid UTF-8": b'{"job_id": "\xff\xfe"}',
    "invalid UTF-8 in an unknown member": b'{"unknown": "\xff"}',
    "UTF-16": '{"job_id": "job-1"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a lone surrogate": b'{"job_id": "\\ud800", "job_id_prefix": "\\ud800"}',
    "a lone surrogate in a name": b'{"job_id": "job-1", "\\ud800": NaN}',
    "a lone surrogate in a name and its value": b'{"\\ud800": {"a": "\\ud801"}}',
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "100,000 arrays deep": b"[" * DEEP + b"]" * DEEP,
    "65 arrays deep": b'{"unknown": ' + b"[" * 65 + b"]" * 65 + b', "metric": NaN}',
    "1,500 arrays deep": b"[" * 1500 + b"]" * 1500,
    "5,000 objects deep": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "100,000 objects deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "100,000 arrays deep in an unknown member": b'{"unknown": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a number of 100,000 digits": b'{"trial_number": ' + b"9" * DEEP + b"}",
}


@pytest.mark.parametrize("call", [("POST", "/jobs"), ("POST", "/report"), ("PATCH", "/trials")], ids=" ".join)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_no_json_object_of_the_call_is_refused(
    http: httpx.Client, call: tuple[str, str], body: bytes
) -> None:
    refused(http.request(*call, content=body), 422)


@pytest.mark.parametrize(
    "kind", ["text/plain", "text/x+json", "application/x-www-form-urlencoded", "application/jsonp", "json"]
)
def test_another_content_type_is_refused(http: httpx.Client, kind: str) -> None:
    body = json.dumps(job_body()).encode()
    answer = http.post("/jobs", content=body, headers={"content-type": kind})
    assert "application/json" in refused(answer, 422)["message"]


@pytest.mark.parametrize("size", [(1 << 20) + 1, 5 << 20])
def test_a_body_past_the_limit_is_refused(http: httpx.Client, size: int) -> None:
    padding = " " * size
    refused(http.post("/jobs", content=json.dumps(job_body()) + padding), 413)


def test_a_body_that_says_it_is_huge_is_not_waited_for(server: Server) -> None:
    head = (
        "POST /report HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n"
    )
    with closing(connection_to(server)) as connection:
        connection.sendall(head.encode())
        # Head and body may come apart; the end comes without the rest of the request.
        answer = b"".join(iter(partial(connection.recv, 1000), b""))
    assert answer.startswith(b"HTTP/1.1 413")
    assert answer.count(b"HTTP/1.1") == 1


def test_what_is_not_http_gets_an_answer_that_no_cache_keeps(server: Server) -> None:
    with closing(connection_to(server)) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        answer = connection.recv(1000).lower()
    assert answer.startswith(b"http/1.1 400")
    assert b"cache-control: no-store" in answer


def test_a_client_that_hangs_up_leaves_no_traceback(server: Server, http: httpx.Client) -> None:
    with closing(connection_to(server)) as connection:
        connection.sendall(b"POST /report HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert http.get("/healthz").status_code == 200
    assert "ClientDisconnect" not in server.last_words()


def connection_to(server: Server) -> socket.socket:
    """Return a bare connection to a server."""
    address = httpx.URL(server.url)
    return socket.create_connection((address.host, address.port or 80), timeout=5)


def test_a_body_past_the_limit_in_chunks_is_refused(http: httpx.Client) -> None:
    refused(http.post("/report", content=(b" " * 65_536 for _ in range(20))), 413)


@pytest.mark.parametrize("query", ["", "?job=1", "?job_id=", "?job_id=" + "x" * 401, "?job_id=%00"])
@pytest.mark.parametrize("call", [("GET", "/jobs/batch_size"), ("DELETE", "/jobs")], ids=" ".join)
def test_a_query_without_a_possible_job_is_refused(
    http: httpx.Client, call: tuple[str, str], query: str
) -> None:
    method, path = call
    assert refused(http.request(method, path + query), 422)["detail"][0]["loc"] == ["query", "job_id"]


def test_an_unknown_job_is_refused(http: httpx.Client) -> None:
    refused(http.get("/jobs/batch_size", params={"job_id": "nobody"}), 400)
    refused(http.delete("/jobs", params={"job_id": "nobody"}), 404)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("HEAD", "/jobs/batch_size?job_id=job-1"),
        ("HEAD", "/jobs"),
        ("GET", "/jobs"),
        ("POST", "/jobs/batch_size"),
        ("GET", "/report"),
        ("DELETE", "/trials"),
        ("OPTIONS", "/report"),
        ("POST", "/healthz"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_405(http: httpx.Client, method: str, path: str) -> None:
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert answer.headers["allow"]
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/jobs/", "/nothing", "/jobs/batch_size/8"])
def test_a_path_that_is_not_there_is_404(http: httpx.Client, path: str) -> None:
    refused(http.get(path), 404)
