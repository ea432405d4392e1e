"""What ``jobs show`` says of where a job began and of how often its costs have changed."""

import asyncio

import pytest

from benchmarks.server import Server
from tests.service.commands.conftest import Run
from tests.service.commands.test_recount import change
from tests.service.talk import Api


@pytest.mark.parametrize(
    ("source", "said"),
    [("resnet-v100", "what resnet-v100 had shown"), ("*", "what jobs with its prefix had shown")],
)
def test_the_beginning_and_the_drifts_of_a_job_are_told(
    run: Run, own_server: Server, own_api: Api, source: str, said: str
) -> None:
    job_id = own_api.register()["job_id"]
    shown = run("jobs", "show", job_id, BATCHBANDIT_URL=own_server.url)
    assert "policy zeus" in shown.out
    assert "drifts" not in shown.out
    statement = 'UPDATE "Job" SET warm_start_from = :source, num_drifts = 3 WHERE job_id = :id'
    asyncio.run(change(own_server.database_url, statement, source=source, id=job_id))
    for _ in range(3):
        own_api.run(job_id)
    statement = 'UPDATE "Trial" SET drifted_from = 12000 WHERE job_id = :id'
    asyncio.run(change(own_server.database_url, statement, id=job_id))
    lines = {
        " ".join(line.split())
        for line in run("jobs", "show", job_id, BATCHBANDIT_URL=own_server.url).out.splitlines()
    }
    assert f"began with {said}" in lines
    assert "drifts 3: trainings cost something else than they had before" in lines
    listed = run("trials", "ls", job_id, BATCHBANDIT_URL=own_server.url, COLUMNS="200")
    assert listed.out.count("drift: expected 12.0 kJ") == 3


@pytest.mark.parametrize(
    ("policy", "bound"),
    [
        ("zeus", "2 times the lowest cost"),
        ("frugal", "2 times what the best batch size costs, or what is not worth it"),
    ],
)
def test_what_ends_a_training_is_told_as_its_policy_has_it(
    run: Run, own_server: Server, own_api: Api, policy: str, bound: str
) -> None:
    job_id = own_api.register(policy=policy)["job_id"]
    shown = " ".join(run("jobs", "show", job_id, BATCHBANDIT_URL=own_server.url).out.split())
    assert f", {bound}, or " in shown
