"""Real signals to real trainings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Callable

import pytest

from tests.client.conftest import ROOT
from tests.client.trainings import a_job, trials

if TYPE_CHECKING:
    from collections.abc import Iterator

    from batchbandit import JobSpec
    from tests.client.conftest import Server

SCRIPT = """
import os, signal, sys, time
import batchbandit
from tests.client.trainings import Declared

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores in what runs behind it
url, job_id = sys.argv[1:]
job = batchbandit.JobSpec([8, 16, 32], 16, job_id=job_id, target_metric=0.9, max_epochs=10)
meter = Declared()
{before}
with batchbandit.trial(url, job, meter=meter, clock=meter.clock) as trial:
    for epoch in trial.epochs():
        meter.spend(1, 1)
        trial.report(0.1)
        {inside}
print("the end", flush=True)
{after}
"""
# In short sleeps: Python may be told of a signal just before it sleeps, and heeds it only after that.
WAIT = """print("ready", flush=True)
        while True: time.sleep(0.1)"""
LIMIT = 60.0
"""Seconds after which a training hangs."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def started() -> Iterator[Start]:
    """Give what starts a script; it says where it hangs when it is aborted, and does not outlive the test."""
    processes = []

    def start(script: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", script, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        with process:
            process.kill()


@pytest.fixture
def training(server: Server, started: Start) -> Start:
    """Give what starts a training of a job, of which parts are given."""

    def start(job: JobSpec, **parts: str) -> subprocess.Popen[str]:
        script = SCRIPT.format(**{"before": "", "inside": WAIT, "after": "", **parts})
        return started(script, server.url, str(job.job_id))

    return start


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Return the exit status of a training that ends, and what it printed."""
    try:
        out, err = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        out, err = process.communicate()
        pytest.fail(f"The training hangs.\n{out}{err}")
    return process.returncode, out, err


def signalled(process: subprocess.Popen[str], number: int) -> tuple[int, str, str]:
    """Signal a training once it is ready; return its exit status and what it printed."""
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    return ended(process)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_a_signal_ends_a_training_as_preempted(
    server: Server, training: Start, number: int, status: int
) -> None:
    job = a_job()
    assert signalled(training(job), number)[:2] == (status, "")
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_handler_that_was_there_is_called_and_may_let_the_training_go_on(
    server: Server, training: Start
) -> None:
    job = a_job()
    process = training(
        job,
        before='left = []; signal.signal(signal.SIGTERM, lambda *_: left.append("saved"))',
        inside='print("ready", flush=True)\n        while not left: time.sleep(0.01)\n        break',
        after="print(left, signal.getsignal(signal.SIGTERM).__name__)",
    )
    assert signalled(process, signal.SIGTERM)[:2] == (0, "the end\n['saved'] <lambda>\n")
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_an_ignored_signal_stays_ignored(server: Server, training: Start) -> None:
    job = a_job()
    process = training(
        job,
        before="signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        inside='os.kill(os.getpid(), signal.SIGTERM); print("ready", flush=True); trial.report(0.95); break',
    )
    status, out, err = ended(process)
    assert (status, out) == (0, "ready\nthe end\n"), err
    assert trials(server.database, job, "status") == [("Succeeded",)]


def test_after_the_block_the_signal_is_nobodys(training: Start) -> None:
    process = training(
        a_job(), inside="break", after='print("ready", flush=True)\nwhile True: time.sleep(0.1)'
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "the end\n"
    assert signalled(process, signal.SIGTERM)[0] == -signal.SIGTERM


def test_a_forked_worker_that_is_ended_is_not_the_training(training: Start) -> None:
    job = a_job()
    worker = """
        beginning, begun = os.pipe()
        worker = os.fork()
        if worker == 0:
            signal.alarm(20)
            os.write(begun, b"!")
            while True: time.sleep(0.1)
        os.read(beginning, 1)
        os.kill(worker, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
        trial.report(0.95)
        """
    process = training(job, inside=worker)
    status, out, err = ended(process)
    assert (status, out) == (0, "-15\nthe end\n"), err


def test_a_handler_that_calls_the_one_before_ends_a_forked_worker_too(training: Start) -> None:
    worker = """
        before = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *arguments: before(*arguments))
        beginning, begun = os.pipe()
        worker = os.fork()
        if worker == 0:
            signal.alarm(20)
            os.write(begun, b"!")
            while True: time.sleep(0.1)
        os.read(beginning, 1)
        os.kill(worker, signal.SIGTERM)
        print(os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1]), flush=True)
        trial.report(0.95)
        """
    process = training(a_job(), inside=worker)
    status, out, err = ended(process)
    assert (status, out) == (0, "-15\nthe end\n"), err


def test_a_forked_child_that_leaves_the_block_ends_nothing(server: Server, training: Start) -> None:
    job = a_job()
    child = """
        if os.fork() == 0:
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.wait()[1]), flush=True)
        trial.report(0.95)
        """
    process = training(job, inside=child)
    status, out, err = ended(process)
    assert (status, out) == (0, "7\nthe end\n"), err
    assert trials(server.database, job, "status") == [("Succeeded",)]


def test_a_signal_while_a_report_is_sent_ends_a_training_as_preempted(
    server: Server, training: Start
) -> None:
    job = a_job()
    sending = """
from batchbandit.transport import Transport
send = Transport._send
def slowly(self, method, path, *arguments):
    if path == "/report":
        print("ready", flush=True)
        time.sleep(60)
    return send(self, method, path, *arguments)
Transport._send = slowly
"""
    assert signalled(training(job, before=sending), signal.SIGTERM)[:2] == (143, "")
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_signal_that_breaks_in_on_the_libraries_that_send_leaves_nothing_locked(
    server: Server, training: Start
) -> None:
    job = a_job()
    sending = """
from httpcore._synchronization import ThreadLock
enter = ThreadLock.__enter__
armed = []
def interrupted(self):
    enter(self)
    if armed:
        armed.clear()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)
    return self
ThreadLock.__enter__ = interrupted
"""
    process = training(job, before=sending, inside="armed.append(True)")
    status, out, err = ended(process)
    assert (status, out) == (143, ""), err
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_what_is_raised_where_python_loses_it_ends_a_training_all_the_same(
    server: Server, training: Start
) -> None:
    job = a_job()
    losing = """
from batchbandit.conversation import Conversation
report = Conversation.report
class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)
def losing(self, *arguments):
    Lost()
    return report(self, *arguments)
Conversation.report = losing
"""
    status, out, err = ended(training(job, before=losing))
    assert (status, out) == (143, ""), err
    assert "Exception ignored in" in err
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_an_error_that_a_handler_raises_is_not_the_clients(server: Server, training: Start) -> None:
    job = a_job()
    handling = """
from batchbandit.conversation import Conversation
def taken_away(*_):
    raise RuntimeError("taken away")
signal.signal(signal.SIGTERM, taken_away)
def report(self, *arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
Conversation.report = report
"""
    status, out, err = ended(training(job, before=handling))
    assert (status, out) == (1, ""), err
    assert err.endswith("RuntimeError: taken away\n")
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_killed_training_leaves_a_trial_that_its_lease_ends(server: Server, training: Start) -> None:
    job = a_job(lease_seconds=1.0)
    signalled(training(job), signal.SIGKILL)
    assert trials(server.database, job, "status")[0][0] in {"Dispatched", "Failed"}


def test_an_asynchronous_training_ends_as_preempted(server: Server, started: Start) -> None:
    job = a_job()
    script = """
import asyncio, sys
import batchbandit
from tests.client.trainings import Declared

async def train(url, job_id):
    job = batchbandit.JobSpec([8, 16, 32], 16, job_id=job_id)
    async with batchbandit.trial(url, job, meter=Declared()) as trial:
        print("ready", flush=True)
        while True:
            await asyncio.sleep(0.1)

asyncio.run(train(*sys.argv[1:]))
"""
    process = started(script, server.url, str(job.job_id))
    assert signalled(process, signal.SIGTERM)[0] == 143
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]
