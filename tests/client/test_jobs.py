"""A job refuses here what a service would refuse."""

from __future__ import annotations

import math
from typing import Any

import pytest

from batchbandit import JobSpec
from batchbandit.errors import InvalidJob


def job(**changes: Any) -> JobSpec:  # noqa: ANN401 -- members of any type, wrong ones too
    return JobSpec(**{"job_id": "a", "batch_sizes": [32, 8, 16], "default_batch_size": 16, **changes})


def test_a_job_sorts_its_batch_sizes_and_is_sent_whole() -> None:
    body = job(max_power=300, number_of_gpus=1, gpu_model="V100").body()
    assert body["batch_sizes"] == [8, 16, 32]
    assert body["job_id_prefix"] == "a"
    assert body["max_power"] == 300.0
    assert "lease_seconds" not in body


def test_a_policy_and_where_to_begin_are_sent_where_they_are_named() -> None:
    body = job(policy="frugal", warm_start_from="*").body()
    assert (body["policy"], body["warm_start_from"]) == ("frugal", "*")
    assert not {"policy", "warm_start_from"} & job().body().keys()


def test_no_early_stop_is_told_and_not_left_out() -> None:
    assert job(beta_knob=None).body()["beta_knob"] is None


def test_a_job_without_a_name_gets_one_of_its_prefix() -> None:
    unnamed = job(job_id=None, job_id_prefix="nightly")
    names = {unnamed.named().job_id for _ in range(2)}
    assert len(names) == 2
    assert all(str(name).startswith("nightly-") for name in names)


def test_integers_and_floats_of_other_libraries_are_taken() -> None:
    class Index:
        def __index__(self) -> int:
            return 64

    assert job(batch_sizes=[Index()], default_batch_size=64).batch_sizes == (64,)
    assert job(target_metric=1).target_metric == 1.0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"batch_sizes": []}, "batch_sizes is empty"),
        ({"batch_sizes": "8"}, "batch_sizes is not a list"),
        ({"batch_sizes": [8, 8]}, "twice"),
        ({"batch_sizes": [0, 16]}, "from 1 to"),
        ({"batch_sizes": [16, 2**31]}, "from 1 to"),
        ({"batch_sizes": [16.0]}, "no integer"),
        ({"batch_sizes": [True, 16]}, "no integer"),
        ({"batch_sizes": list(range(1, 1002))}, "1000 is the most"),
        ({"default_batch_size": 64}, "not one of batch_sizes"),
        ({"job_id": None}, "job_id is missing"),
        ({"job_id": ""}, "job_id is empty"),
        ({"job_id": "a\0"}, "NUL"),
        ({"job_id": "a\ud800"}, "half a character"),
        ({"job_id": "a" * 401}, "400 is the most"),
        ({"job_id": 7}, "no text"),
        ({"job_id_prefix": "b"}, "does not start with"),
        ({"eta_knob": 1.5}, "eta_knob is 1.5; it must be at least 0 and at most 1."),
        ({"beta_knob": 0}, "beta_knob is 0; it must be above 0."),
        ({"eta_knob": "0.5"}, "no number"),
        ({"eta_knob": None}, "no number"),
        ({"beta_knob": 0}, "above 0"),
        ({"target_metric": math.nan}, "finite"),
        ({"max_power": 10**400}, "finite"),
        ({"higher_is_better_metric": 1}, "neither True nor False"),
        ({"max_epochs": 0}, "from 1"),
        ({"mab_seed": -1}, "from 0"),
        ({"max_power": 0}, "above 0"),
        ({"gpu_model": ""}, "gpu_model is empty"),
        ({"lease_seconds": 0}, "above 0"),
        ({"max_failures": 0}, "from 1"),
        ({"policy": "greedy"}, "one of zeus, frugal"),
        ({"policy": 7}, "one of zeus, frugal"),
        ({"policy": "frugal", "warm_start_from": 7}, "no text"),
        ({"policy": "frugal", "warm_start_from": ""}, "warm_start_from is empty"),
        ({"policy": "frugal", "warm_start_from": "b" * 401}, "400 is the most"),
        ({"policy": "frugal", "warm_start_from": "a"}, "the job itself"),
        ({"policy": "zeus", "warm_start_from": "b"}, "for the policy frugal"),
        ({"warm_start_from": "*"}, "for the policy frugal"),
    ],
)
def test_a_value_that_no_service_takes_is_refused_with_its_name(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InvalidJob, match=sentence):
        job(**changes)
