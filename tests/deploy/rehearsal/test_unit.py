"""The hardened unit serves under a systemd that has booted, by the commands of the page on deployment."""

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.deploy.programs import DEPLOY, DEPLOYMENT, commands
from tests.deploy.rehearsal.engine import Engine
from tests.deploy.rehearsal.machine import Machine, running_machine

# It runs where only Python is: a job is registered, trains for one epoch and ends.
TRAINING = """
import json, sys, urllib.request
def call(method, path, body=None):
    headers = {"Authorization": f"Bearer {sys.argv[1]}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request("http://127.0.0.1:8000" + path, data, headers, method=method)
    return json.load(urllib.request.urlopen(request, timeout=30))
call("POST", "/jobs", {"job_id": "job", "job_id_prefix": "job", "batch_sizes": [8, 16],
    "default_batch_size": 8, "max_power": 200, "number_of_gpus": 1, "gpu_model": "V100"})
trial = call("GET", "/jobs/batch_size?job_id=job")
print(call("POST", "/report", trial | {"time": 1, "energy": 1, "metric": 1, "current_epoch": 1})["converged"])
"""
READY = "timeout 60 bash -c 'until python3 ask.py 2>/dev/null; do sleep 0.1; done'"
ASK = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=5)"
STATE = "systemctl show batchbandit --property=ActiveState,Result,ExecMainStatus --value"


@pytest.fixture(scope="module")
def machine(engine: Engine) -> Iterator[Machine]:
    """Return a machine on which nothing is installed but the environment, and the folder with what is."""
    with running_machine(engine) as running:
        shutil.copytree(DEPLOY / "systemd", running.root / "srv" / "deploy" / "systemd")
        (running.root / "srv" / "train.py").write_text(TRAINING)
        (running.root / "srv" / "ask.py").write_text(ASK)
        yield running


def test_it_serves_by_the_commands_of_the_page(machine: Machine) -> None:
    token = machine.said(commands("systemd", 1)).split()[-1]
    machine.said(READY)
    assert machine.said(f"python3 train.py {token}") == "True"
    machine.said("systemctl restart batchbandit")
    machine.said(READY)
    machine.said("systemctl stop batchbandit")
    assert sorted(machine.said(STATE).split()) == ["0", "inactive", "success"]
    owners = machine.said("stat --format '%U %a' /var/lib/batchbandit /var/lib/batchbandit/batchbandit.db")
    assert owners.splitlines() == ["batchbandit 700", "batchbandit 600"]


def test_what_cannot_be_mended_is_not_tried_again(machine: Machine) -> None:
    setting = "BATCHBANDIT_DATABASE_URL=sqlite+aiosqlite:////opt/no.db"
    machine.said(f"echo {setting} >> /etc/batchbandit/batchbandit.env")
    machine.said("systemctl restart batchbandit")
    machine.said("timeout 30 bash -c 'while systemctl is-active --quiet batchbandit; do sleep 0.1; done'")
    assert sorted(machine.said(STATE).split()) == ["2", "exit-code", "failed"]
    assert machine.said("systemctl show batchbandit --property=NRestarts --value") == "0"


def test_systemd_gives_the_exposure_that_the_page_names(machine: Machine) -> None:
    told = machine.said("systemd-analyze security --no-pager batchbandit | tail -1")
    page = " ".join(DEPLOYMENT.split())
    assert re.findall(r"service: (\d\.\d)", told) == re.findall(r"gives it (\d\.\d) of 10", page)
