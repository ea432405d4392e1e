"""The reference's own client works with a token in the address, and so does what calls as it does."""

import os
import subprocess
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
TRAINING = """
import sys
from types import SimpleNamespace

from zeus.optimizer.batch_size import client
from zeus.optimizer.batch_size.common import JobSpec

url, job_id = sys.argv[1:]


class Gpus:
    def __len__(self):
        return 1

    def get_power_management_limit_constraints(self, index):
        return 100_000, 200_000

    def get_name(self, index):
        return "V100"


client.get_gpus = lambda ensure_homogeneous: Gpus()
monitor = SimpleNamespace(
    gpu_indices=[0],
    begin_window=lambda name: None,
    end_window=lambda name: SimpleNamespace(time=100.0, total_energy=20_000.0),
)
job = JobSpec(job_id=job_id, job_id_prefix="ref", batch_sizes=[8, 16], default_batch_size=16, max_epochs=10)
optimizer = client.BatchSizeOptimizer(monitor, url, job)
print("batch size", optimizer.get_batch_size())
optimizer.on_train_begin()
for metric in (0.1, 0.9):
    optimizer.on_evaluate(metric)
print("finished", optimizer.training_finished)
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


def train(python: Path, url: str, job_id: str) -> subprocess.CompletedProcess[str]:
    """Run a training of two epochs with the reference's client."""
    return subprocess.run(
        [python, "-c", TRAINING, url, job_id],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
    )


def test_the_references_client_trains_with_a_token(guarded: Guarded, kept: Tables, python: Path) -> None:
    token = guarded.tokens[Role.TRAINER]
    done = train(python, with_userinfo(guarded, token), "ref-client")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "batch size 16\nfinished True\n"
    assert kept.rows('SELECT status, converged FROM "Trial" WHERE job_id = :job', job="ref-client") == [
        ("Succeeded", True)
    ]
    [(actor,)] = kept.rows('SELECT actor FROM "AuditEvent" WHERE subject = :job', job="ref-client")
    assert actor == id_of(token)
    assert token not in guarded.server.log.read_text()


def test_the_references_client_says_why_it_is_not_let_in(
    guarded: Guarded, kept: Tables, python: Path
) -> None:
    done = train(python, with_userinfo(guarded, guarded.revoked), "ref-stranger")
    assert done.returncode != 0
    assert "Zeus server returned status code 401" in done.stderr
    assert "has been revoked" in done.stderr
    assert kept.rows('SELECT * FROM "Job" WHERE job_id = :job', job="ref-stranger") == []


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
