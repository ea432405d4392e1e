"""Scripts written for the reference's client: the same calls in the same order."""

from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from batchbandit import BatchSizeOptimizer
from batchbandit.errors import OutOfOrder, TrainFailed
from tests.client.conftest import ROOT
from tests.client.trainings import Declared, a_job, trials

if TYPE_CHECKING:
    from tests.client.conftest import Server


def a_monitor(time: float = 10.0, energy: float = 1000.0) -> Any:  # noqa: ANN401 -- of any class
    """Return what measures as the reference's monitor does."""
    return SimpleNamespace(
        gpu_indices=[0],
        begin_window=lambda _: None,
        end_window=lambda _: SimpleNamespace(time=time, total_energy=energy),
    )


def test_a_script_of_the_reference_trains(server: Server) -> None:
    job = a_job(job_id_prefix="job", max_power=300, number_of_gpus=1, gpu_model="V100")
    optimizer = BatchSizeOptimizer(a_monitor(), server.url, job)
    assert optimizer.get_batch_size() == 16
    assert optimizer.get_batch_size() == 16
    optimizer.on_train_begin()
    optimizer.on_evaluate(0.1)
    finished = [optimizer.training_finished]
    optimizer.on_evaluate(0.95)
    assert [*finished, optimizer.training_finished] == [False, True]
    optimizer.on_evaluate(0.2)  # as there, nothing more is said
    assert trials(server.database, job, "status, converged, energy") == [("Succeeded", 1, 2000.0)]


def test_a_training_that_does_not_converge_fails_as_it_does_there(server: Server) -> None:
    job = a_job(max_epochs=1)
    optimizer = BatchSizeOptimizer(Declared(), server.url, job)
    optimizer.get_batch_size()
    optimizer.on_train_begin()
    with pytest.raises(TrainFailed, match="failed to converge within max_epoch"):
        optimizer.on_evaluate(0.1)
    assert optimizer.training_finished


def test_other_ranks_do_not_ask(server: Server) -> None:
    optimizer = BatchSizeOptimizer(Declared(), server.url, a_job(), rank=1)
    with pytest.raises(OutOfOrder, match="rank 0"):
        optimizer.get_batch_size()


def test_calls_out_of_order_say_what_comes_first(server: Server) -> None:
    optimizer = BatchSizeOptimizer(Declared(), server.url, a_job())
    for call in (optimizer.on_train_begin, lambda: optimizer.on_evaluate(0.5)):
        with pytest.raises(OutOfOrder, match="get_batch_size"):
            call()


@pytest.mark.parametrize(
    ("end", "status", "reason"),
    [
        ("raise ZeroDivisionError", 1, "ZeroDivisionError"),
        ("raise MemoryError", 1, "out_of_memory"),
        ("", 0, "ended_early"),
        ("os.kill(os.getpid(), signal.SIGTERM)", 143, "preempted"),
    ],
)
def test_a_script_that_ends_before_the_training_does_says_so(
    server: Server, end: str, status: int, reason: str
) -> None:
    job = a_job()
    script = f"""
import os, signal, sys
from batchbandit import BatchSizeOptimizer, JobSpec
from tests.client.trainings import Declared

job = JobSpec(batch_sizes=[8, 16], default_batch_size=16, job_id=sys.argv[2])
optimizer = BatchSizeOptimizer(Declared(), sys.argv[1], job)
optimizer.get_batch_size()
optimizer.on_train_begin()
{end}
"""
    done = subprocess.run(
        [sys.executable, "-c", script, server.url, str(job.job_id)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == status, done.stderr
    assert trials(server.database, job, "status, failure_reason") == [("Failed", reason)]


def test_a_script_whose_service_comes_late_is_delivered_at_its_exit(own_server: Server) -> None:
    job = a_job()
    script = """
import sys
from batchbandit import BatchSizeOptimizer, JobSpec, opening
from tests.client.trainings import Declared

opening.trial.__kwdefaults__["patience_seconds"] = 1.0
optimizer = BatchSizeOptimizer(Declared(), sys.argv[1], JobSpec([8, 16], 16, job_id=sys.argv[2]))
optimizer.get_batch_size()
print("alone", flush=True)
sys.stdin.readline()
"""
    own_server.kill()
    with subprocess.Popen(
        [sys.executable, "-c", script, own_server.url, str(job.job_id)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "alone\n"
        own_server.start()
        _, err = process.communicate("\n", timeout=60)
    assert process.returncode == 0, err
    assert "A fault" not in err
    assert trials(own_server.database, job, "status, failure_reason") == [("Failed", "ended_early")]
