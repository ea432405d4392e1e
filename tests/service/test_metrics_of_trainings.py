"""``metric`` alone may be NaN or infinite, as trainings that diverge write it."""

import json

import httpx
import pytest

from tests.service.talk import Api, report_body


@pytest.mark.parametrize(
    ("token", "higher_is_better", "reached"),
    [
        ("NaN", True, False),
        ("NaN", False, False),
        ("Infinity", True, True),
        ("Infinity", False, False),
        ("-Infinity", True, False),
        ("-Infinity", False, True),
        ("1e400", True, True),
        ("-1e400", False, True),
        ("1", True, True),
    ],
)
def test_a_metric_that_is_not_finite_is_compared_as_a_number(
    api: Api,
    http: httpx.Client,
    token: str,
    higher_is_better: bool,
    reached: bool,
) -> None:
    trial = api.trial(api.register(higher_is_better_metric=higher_is_better)["job_id"])
    text = json.dumps(report_body(trial, metric="@")).replace('"@"', token)
    answer = http.post("/report", content=text)
    assert answer.status_code == 200
    assert answer.json()["converged"] is reached
