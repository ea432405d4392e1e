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


def test_trainings_outlive_their_service(tmp_path: Path, record: Callable[[Row], None]) -> None:
    service = Service(tmp_path)
    with serving(service):
        workers = [start_worker(service, tmp_path, number) for number in range(WORKERS)]
        kills = kill_again_and_again(service, workers)
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
    assert kills == KILLS
    trainings = [json.loads(line) for log in tmp_path.glob("*.log.json") for line in log.open()]
    assert len(trainings) == TRAININGS
    assert all(training["converged"] for training in trainings)
    alone = sum(training["trial_number"] is None for training in trainings)
    assert 0 < alone < TRAININGS, "some had to begin without the service"
    kept = results_of(service.database)
    record(
        Row(
            f"{kills} kills under {TRAININGS} trainings",
            service.store,
            TRAININGS,
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
    arguments = [service.url, f"chaos-{number % JOBS}", str(number * each), str(each)]
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


def kill_again_and_again(service: Service, workers: list[subprocess.Popen[str]]) -> int:
    """Kill the service at random moments, and start it again, while trainings run; return how often."""
    moments = random.Random(8)
    for kills in range(KILLS):
        time.sleep(moments.uniform(0, LONGEST_LIFE))
        if all(worker.poll() is not None for worker in workers):
            return kills
        service.kill()
        time.sleep(moments.uniform(0, LONGEST_ABSENCE))
        service.start()
    return KILLS


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
