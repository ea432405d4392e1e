"""The reference's own client works unchanged, with a token in the address; so does what calls as it does."""

import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest

from benchmarks.contender import installed
from service.credentials import Role
from tests.conftest import ROOT
from tests.service.access.holders import Guarded, id_of
from tests.service.tables import Tables
from tests.service.talk import job_body, report_body

ENVIRONMENT = ROOT / "build" / "reference"
# The client as it is published. What it asks of GPUs, which a machine may not have, is answered by a fake.
PRELUDE = """
import sys
from types import SimpleNamespace

from zeus.optimizer.batch_size import client, exceptions
from zeus.optimizer.batch_size.common import JobSpec

url, job_id = sys.argv[1:]


class Gpus:
    def __len__(self):
        return 1

    def get_power_management_limit_constraints(self, index):
        return 100_000, 200_000

    def get_name(self, index):
        return "V100"


class Monitor:
    gpu_indices = [0]
    joules = 20_000.0

    def begin_window(self, name):
        pass

    def end_window(self, name):
        return SimpleNamespace(time=100.0, total_energy=self.joules)


client.get_gpus = lambda ensure_homogeneous: Gpus()
monitor = Monitor()


def optimizer(rank=0, **changes):
    spec = dict(batch_sizes=[8, 16, 32], default_batch_size=16, max_epochs=10, mab_seed=1) | changes
    job = JobSpec(job_id=job_id, job_id_prefix="ref", **spec)
    return client.BatchSizeOptimizer(monitor, url, job, rank)


def train(*metrics):
    running = optimizer()
    running.get_batch_size()
    running.on_train_begin()
    for metric in metrics:
        running.on_evaluate(metric)
    return running
"""
TRAINING = """
running = train(0.1, 0.2, 0.9)
print(running.get_batch_size(), running.training_finished)
"""
REGISTRATIONS = """
first, second = optimizer(), optimizer(batch_sizes=[32, 8, 16])
print(first.job == second.job)
try:
    optimizer(max_epochs=11)
except exceptions.ZeusBSORuntimError as error:
    print(error)
"""
RANKS = """
other, first = optimizer(rank=1), optimizer(rank=0)
try:
    other.get_batch_size()
except exceptions.ZeusBSOBadOperationError as error:
    print(error)
first.get_batch_size()
print(first.get_batch_size())
"""
EARLY_STOP = """
train(0.9)
monitor.joules *= 10
running = optimizer()
running.get_batch_size()
running.on_train_begin()
try:
    running.on_evaluate(0.1)
finally:
    running.on_evaluate(0.9)
    print(running.training_finished, running.cur_epoch)
"""
CRASH = """
train(0.1)
raise RuntimeError("CUDA out of memory")
"""
RECURRENCES = """
costs = {8: 30_000.0, 16: 25_000.0, 32: 20_000.0}
for number in range(14):
    running = optimizer()
    size = running.get_batch_size()
    monitor.joules = costs[size] * (1 + 0.01 * (number % 3))
    running.on_train_begin()
    running.on_evaluate(0.9)
    print(size)
"""


def with_userinfo(guarded: Guarded, token: str) -> str:
    """Return the address of a service as its trainers write it."""
    return guarded.server.url.replace("http://", f"http://job:{token}@")


@pytest.fixture(scope="session")
def python() -> Path:
    """Return the interpreter of an environment that has the reference's client."""
    if not (ENVIRONMENT / ".installed").exists() and not os.environ.get("BATCHBANDIT_REFERENCE"):
        pytest.skip("the reference is not installed, as make test-reference does")
    return installed(ENVIRONMENT)


def run(python: Path, url: str, job_id: str, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the reference's client."""
    return subprocess.run(
        [python, "-c", PRELUDE + script, url, job_id],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
    )


Run = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture
def run_trainer(guarded: Guarded, python: Path) -> Run:
    """Return what runs a script about a job with a trainer's token."""
    return partial(run, python, with_userinfo(guarded, guarded.tokens[Role.TRAINER]))


def trials(tables: Tables, job_id: str) -> list[tuple[object, ...]]:
    """Return the trials of a job: batch size, status, whether it converged, seconds, joules."""
    query = (
        'SELECT batch_size, status, converged, time, energy FROM "Trial" '
        "WHERE job_id = :job ORDER BY trial_number"
    )
    return tables.rows(query, job=job_id)


def test_the_references_client_trains_with_a_token(guarded: Guarded, kept: Tables, run_trainer: Run) -> None:
    done = run_trainer("ref-client", TRAINING)
    assert (done.returncode, done.stdout) == (0, "16 True\n"), done.stderr
    assert trials(kept, "ref-client") == [(16, "Succeeded", True, 300.0, 60_000.0)]
    token = guarded.tokens[Role.TRAINER]
    [(actor,)] = kept.rows('SELECT actor FROM "AuditEvent" WHERE subject = :job', job="ref-client")
    assert actor == id_of(token)
    assert token not in guarded.server.log.read_text()


def test_the_references_client_says_why_it_is_not_let_in(
    guarded: Guarded, kept: Tables, python: Path
) -> None:
    done = run(python, with_userinfo(guarded, guarded.revoked), "ref-stranger", TRAINING)
    assert done.returncode != 0
    assert "Zeus server returned status code 401" in done.stderr
    assert "has been revoked" in done.stderr
    assert kept.rows('SELECT * FROM "Job" WHERE job_id = :job', job="ref-stranger") == []


def test_a_job_is_registered_again_equally_and_not_otherwise(kept: Tables, run_trainer: Run) -> None:
    done = run_trainer("ref-registered", REGISTRATIONS)
    assert done.returncode == 0, done.stderr
    is_equal, refused = done.stdout.splitlines()
    assert is_equal == "True"
    assert "status code 409" in refused
    assert "JobSpec doesn't match with existing jobSpec" in refused
    assert "max_epochs differ" in refused
    assert kept.rows('SELECT max_epochs FROM "Job" WHERE job_id = :job', job="ref-registered") == [(10,)]


def test_only_the_first_rank_asks_for_a_batch_size(kept: Tables, run_trainer: Run) -> None:
    done = run_trainer("ref-ranks", RANKS)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Only rank 0 gpu can ask for a batch size.\n16\n"
    assert trials(kept, "ref-ranks") == [(16, "Failed", None, None, None)], "asked once, ended at the exit"


def test_a_training_beyond_the_cost_bound_is_stopped(kept: Tables, run_trainer: Run) -> None:
    done = run_trainer("ref-stopped", EARLY_STOP)
    assert (done.returncode, done.stdout) == (1, "True 1\n")
    assert "ZeusBSOTrainFailError: Train failed: Batch Size(8) exceeded the cost upper bound" in done.stderr
    assert trials(kept, "ref-stopped") == [
        (16, "Succeeded", True, 100.0, 20_000.0),
        (8, "Succeeded", False, 100.0, 200_000.0),
    ]


def test_a_training_that_crashes_ends_its_trial(kept: Tables, run_trainer: Run) -> None:
    done = run_trainer("ref-crashed", CRASH)
    assert done.returncode == 1
    assert "RuntimeError: CUDA out of memory" in done.stderr
    assert trials(kept, "ref-crashed") == [(16, "Failed", None, None, None)]


def test_recurrences_come_to_the_cheapest_batch_size(run_trainer: Run) -> None:
    done = run_trainer("ref-recurring", RECURRENCES)
    assert done.returncode == 0, done.stderr
    sizes = list(map(int, done.stdout.split()))
    assert sizes[:6] == [16, 8, 32, 32, 16, 8], "down from the default, up, and again from the cheapest"
    assert sizes[6:] == [32] * 8


def test_the_references_client_trains_a_job_of_another_policy(
    guarded: Guarded, kept: Tables, run_trainer: Run
) -> None:
    url = with_userinfo(guarded, guarded.tokens[Role.TRAINER])
    body = job_body(job_id="ref-frugal", job_id_prefix="ref", policy="frugal")
    assert httpx.post(f"{url}/jobs", json=body, trust_env=False).status_code == 201
    done = run_trainer("ref-frugal", RECURRENCES)
    assert done.returncode == 0, done.stderr
    sizes = list(map(int, done.stdout.split()))
    assert (sizes[0], set(sizes[4:])) == (16, {32})
    assert kept.rows('SELECT policy FROM "Job" WHERE job_id = :job', job="ref-frugal") == [("frugal",)]


def test_calls_as_that_client_makes_them_are_let_in(guarded: Guarded) -> None:
    url = with_userinfo(guarded, guarded.tokens[Role.TRAINER])
    body = job_body()
    # It sends JSON without a Content-Type.
    made = httpx.post(f"{url}/jobs", content=httpx.Request("POST", "/", json=body).content, trust_env=False)
    assert made.status_code == 201
    asked = httpx.get(f"{url}/jobs/batch_size", params={"job_id": body["job_id"]}, trust_env=False)
    assert asked.status_code == 200
    told = httpx.Request("POST", "/", json=report_body(asked.json())).content
    assert httpx.post(f"{url}/report", content=told, trust_env=False).json()["stop_train"]
    ended = httpx.Request("POST", "/", json=asked.json()).content
    assert httpx.patch(f"{url}/trials", content=ended, trust_env=False).status_code == 200


def test_those_calls_with_a_wrong_password_are_not(guarded: Guarded) -> None:
    url = with_userinfo(guarded, guarded.tokens[Role.TRAINER][:-1])
    assert httpx.get(f"{url}/jobs/batch_size", params={"job_id": "any"}, trust_env=False).status_code == 401
