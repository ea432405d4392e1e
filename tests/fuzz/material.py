"""What sequences of requests are made of: what is right, and what is wrong in one way."""

import math
from typing import Any

from hypothesis import strategies as st

from tests.fuzz.job import NO_TIME

SIZES = [8, 16, 32, 64]
LETTERS = ["a", "b", "c"]
NAMES = st.sampled_from("aaaaaabc")  # most of what happens is about one job, so that it gets far
_UNDECIDED: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "job_id_prefix": st.sampled_from(["job", "job-", ""]),
        "batch_sizes": st.lists(st.sampled_from(SIZES), min_size=1, max_size=4, unique=True),
        "max_power": st.sampled_from([100.0, 250]),
        "number_of_gpus": st.just(1),
        "gpu_model": st.sampled_from(["V100", "A40"]),
        "max_epochs": st.integers(1, 3),
        "lease_seconds": st.sampled_from([NO_TIME, NO_TIME, 600, None]),
    },
    optional={
        "eta_knob": st.sampled_from([0, 0.25, 1.0]),
        "beta_knob": st.sampled_from([None, 1, 1.5, 1e300]),
        "higher_is_better_metric": st.booleans(),
        "num_pruning_rounds": st.sampled_from([0, 0, 1, 1, 2, 3]),
        "window_size": st.integers(-1, 3),
        "mab_prior_mean": st.sampled_from([0, -1e4, 1e100]),
        "mab_prior_precision": st.sampled_from([0.0, 1e-9, 1e100]),
        "mab_num_explorations": st.integers(0, 3),
        "mab_seed": st.sampled_from([None, 0, 7, 2**63 - 1]),
        "max_failures": st.sampled_from([1, 1, 2, 3]),
        "policy": st.sampled_from(["zeus", "frugal"]),
        "warm_start_from": st.none(),
        "seed": st.integers(0, 3),  # unknown to the service, sent by existing clients
    },
)


@st.composite
def specifications(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a specification without a name."""
    body = draw(_UNDECIDED)
    if body.get("policy") == "frugal" and body.get("mab_seed") is None:
        body["mab_seed"] = 7  # what it decides is known
    return body | {"default_batch_size": draw(st.sampled_from(body["batch_sizes"]))}


SPECIFICATIONS = specifications()
MEASUREMENTS = st.fixed_dictionaries(
    {
        "time": st.sampled_from([1, 10.0, 12.5, 100.0]) | st.sampled_from([5e-324, 1e100]),
        "energy": st.sampled_from([1000, 1500.0, 2e4, 2e5]) | st.sampled_from([0.0, 5e-324, 1e100]),
        "metric": st.sampled_from([0.25, 0.5, 0.75]) | st.sampled_from([math.nan, math.inf, -math.inf]),
        "current_epoch": st.integers(1, 3),
    },
    optional={"energy_source": st.sampled_from([None, "nvml", "x" * 100, "\u00b5J"])},
)
REASONS: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"reason": None}]) | st.fixed_dictionaries(
    {"reason": st.sampled_from(["preempted", "unmeasured", "OutOfMemoryError", "x" * 100, "lease_expired"])}
)
KEYS = st.sampled_from([None] * 12 + list("klmnop"))  # few, so that one comes with another call too
GOOD = {"time": 10.0, "energy": 1500.0, "current_epoch": 3}

# What no member of a kind may be; a member that may be null, or not finite, comes after.
NO_INTEGER = ["16", True, 1.5, 16.0, 0, -1, 2**31, 2**64, 10**40, [16], {}]
NO_NUMBER = ["1", False, -1, math.nan, math.inf, -math.inf, 1e101, 10**400, [1.0]]
NO_TEXT = [7, True, ["x"], "x" * 401, "nul\x00", "\ud800"]
NO_NOTE = [7, True, "", "x" * 101, "nul\x00", "\ud800", ["x"]]
WRONG: dict[str, list[Any]] = {
    "job_id": [*NO_TEXT, ""],
    "job_id_prefix": [*NO_TEXT, None],
    "gpu_model": [*NO_TEXT, None, "", "x" * 301],
    "batch_sizes": [
        None,
        8,
        [],
        [8, 8],
        ["8"],
        [8, None],
        [8.0],
        [0],
        [2**31],
        list(range(1, 1002)),
        {"8": 8},
    ],
    "default_batch_size": [*NO_INTEGER, None, 7],
    "max_epochs": [*NO_INTEGER, None],
    "number_of_gpus": [*NO_INTEGER, None],
    "num_pruning_rounds": [-1, 2**31, "2", 0.5, None],
    "mab_seed": [-1, 2**63, "7", 0.5],
    "eta_knob": [*NO_NUMBER, 1.5, None],
    "beta_knob": [0, -1, math.nan, math.inf, "2"],
    "max_power": [*NO_NUMBER, 0, None],
    "higher_is_better_metric": [0, 1, "true", None],
    "lease_seconds": ["60", True, 0, -1, math.nan, math.inf, 1e9, [60]],
    "max_failures": [*NO_INTEGER, None],
    "policy": [7, True, None, "", "ZEUS", "greedy", ["zeus"]],
    "warm_start_from": [*NO_TEXT, "", "job-a", "*"],  # with the policy zeus there is none
    "batch_size": [*NO_INTEGER, None],
    "trial_number": [*NO_INTEGER, None],
    "current_epoch": [*NO_INTEGER, None],
    "time": [*NO_NUMBER, 0, None],
    "energy": [*NO_NUMBER, None],
    "reason": NO_NOTE,
    "energy_source": NO_NOTE,
    "metric": ["0.5", True, None, [0.5]],
}
NO_BODY = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"{}",
    b'{"a": 1}{}',
    b'{"job_id": "\xff"}',
    b"\xef\xbb\xbf{}",
    b"[" * 10_000,
    b'{"u": ' + b"[" * 70 + b"]" * 70 + b"}",
    '{"job_id": "job-a"}'.encode("utf-16"),
]
BEGIN = "/api/v1/jobs/job-a/trials"
TAKES_BODY = [
    ("POST", "/jobs"),
    ("POST", "/report"),
    ("PATCH", "/trials"),
    ("POST", BEGIN),
    ("POST", "/api/v1/suggestions"),
    ("POST", "/api/v1/reports"),
]
STRAY = [
    (404, "GET", "/nothing"),
    (404, "POST", "/jobs/"),
    (405, "GET", "/jobs"),
    (405, "HEAD", "/jobs/batch_size?job_id=job-a"),
    (405, "PUT", "/report"),
    (405, "DELETE", "/trials"),
    (405, "PUT", "/api/v1/jobs/job-a/trials/1"),
    (405, "PUT", "/api/v1/jobs"),
    (404, "POST", "/api/v1/jobs/nobody/reset"),
    (404, "PUT", "/api/v1/jobs/nobody/trials/1/heartbeat"),
    (405, "POST", "/api/v1/jobs/job-a/trials/1"),
    (405, "GET", "/api/v1/jobs/job-a/reset"),
    (405, "PUT", BEGIN),
    (404, "GET", "/api/v1/jobs/nobody"),
    (404, "GET", "/api/v1/jobs/nobody/trials/1/decision"),
    (404, "GET", "/api/v1/jobs/nobody/export"),
    (422, "GET", "/api/v1/jobs?sort=colour"),
    (422, "GET", "/api/v1/jobs?cursor=x"),
    (422, "GET", "/api/v1/jobs?limit=1&limit=1"),
    (422, "POST", BEGIN),
    (422, "POST", "/api/v1/jobs//trials"),
    (405, "POST", "/api/v1/jobs/job-a/trials/1/heartbeat"),
    (422, "POST", "/api/v1/jobs//reset"),
    (422, "POST", "/api/v1/jobs/%00/reset"),
    (422, "PUT", "/api/v1/jobs/job-a/trials/0/heartbeat"),
    (422, "PUT", "/api/v1/jobs/job-a/trials/1.5/heartbeat"),
    (422, "PUT", "/api/v1/jobs/job-a/trials/2147483648/heartbeat"),
    (422, "PUT", "/api/v1/jobs/job-a/trials/one/heartbeat"),
    (422, "PUT", "/api/v1/jobs/%00/trials/1/heartbeat"),
    (422, "GET", "/jobs/batch_size"),
    (422, "GET", "/jobs/batch_size?job_id="),
    (422, "GET", "/jobs/batch_size?job_id=%00"),
    (422, "DELETE", "/jobs?job=job-a"),
    (422, "DELETE", "/jobs?job_id=" + "x" * 401),
]
NO_KEY = ["", "a b", "x" * 256, "caf\u00e9"]
