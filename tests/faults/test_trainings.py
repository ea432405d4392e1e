"""Trainings whose service is killed: none is stopped, and none of their reports is lost or doubled."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from tests.faults.harness import Row, Service, serving

TRAININGS = 200
KILLS = 50
WORKERS = 4
JOBS = 2
LONGEST_LIFE = 0.8
LONGEST_ABSENCE = 0.6
LIMIT = 300.0
MOST_A_WORKER = 10_000
"""More than a worker trains; what is above tells the workers apart."""


def test_trainings_outlive_their_service(tmp_path: Path, record: Callable[[Row], None]) -> None:
    service = Service(tmp_path)
    with serving(service):
        workers = [start_worker(service, tmp_path, number) for number in range(WORKERS)]
        kill_again_and_again(service)
        (tmp_path / "enough").touch()
        outputs = [worker.communicate(timeout=LIMIT)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0] * WORKERS, outputs
        done = subprocess.run(
            [sys.executable, "-m", "batchbandit", "flush", service.url],
            check=False,
            capture_output=True,
            text=True,
            env=environment(tmp_path),
            timeout=LIMIT,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    logs = [log.read_text().splitlines() for log in tmp_path.glob("*.log.json")]
    trainings = [json.loads(line) for lines in logs for line in lines]
    assert len(trainings) >= TRAININGS
    assert all(training["converged"] for training in trainings)
    alone = sum(training["trial_number"] is None for training in trainings)
    assert 0 < alone < len(trainings), "some had to begin without the service"
    kept = results_of(service.database)
    record(
        Row(
            f"{KILLS} kills under trainings, {alone} of which begin alone",
            service.store,
            len(trainings),
            len(trainings),
            lost=sum(kept[training["joules"]] == 0 for training in trainings),
            doubled=sum(count - 1 for count in kept.values()),
        )
    )
    assert kept.keys() == {training["joules"] for training in trainings}
    assert running_trials(service.database) == 0


def start_worker(service: Service, folder: Path, number: int) -> subprocess.Popen[str]:
    """Start a process that trains one recurrence after the other."""
    each = TRAININGS // WORKERS
    arguments = [service.url, f"chaos-{number % JOBS}", str(number * MOST_A_WORKER), str(each)]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.recurring", *arguments, str(folder / f"{number}.log.json")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment(folder),
    )


def environment(folder: Path) -> dict[str, str]:
    """Return an environment with a state folder of the test's."""
    return os.environ | {"BATCHBANDIT_STATE_DIR": str(folder / "state"), "NO_PROXY": "127.0.0.1"}


def kill_again_and_again(service: Service) -> None:
    """Kill the service at random moments, and start it again, while trainings run."""
    moments = random.Random(8)
    for _ in range(KILLS):
        time.sleep(moments.uniform(0, LONGEST_LIFE))
        service.kill()
        time.sleep(moments.uniform(0, LONGEST_ABSENCE))
        service.start()


def results_of(database: Path) -> Counter[float]:
    """Return how often each number of joules is in the tables."""
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT energy FROM \"Trial\" WHERE status = 'Succeeded'").fetchall()
    return Counter(energy for (energy,) in found)


def running_trials(database: Path) -> int:
    """Return how many trials of the trainings nobody has ended."""
    with sqlite3.connect(database) as connection:
        [(count,)] = connection.execute(
            "SELECT count(*) FROM \"Trial\" WHERE status = 'Dispatched' AND job_id LIKE 'chaos-%'"
        ).fetchall()
    return int(count)
