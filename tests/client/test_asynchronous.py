"""A trial in asynchronous code."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

import batchbandit
from batchbandit.asynchronous import in_thread
from batchbandit.service import Service, TrialName
from tests.client.trainings import Declared, a_job, trials

if TYPE_CHECKING:
    from tests.client.conftest import Server


def test_an_asynchronous_training_runs_until_it_is_told_to_stop(server: Server) -> None:
    job = a_job()

    async def train() -> list[int]:
        meter = Declared()
        epochs = []
        async with batchbandit.trial(server.url, job, meter=meter, clock=meter.clock) as trial:
            assert trial.per_device_batch_size == trial.batch_size == 16
            async for epoch in trial.epochs():
                meter.spend(1, 1)
                epochs.append(epoch)
                await trial.report(0.95 if epoch == 3 else 0.1)
        assert trial.stopped
        assert trial.converged
        assert trial.message == "Train succeeded"
        return epochs

    assert asyncio.run(train()) == [1, 2, 3]


def test_while_a_report_is_sent_other_tasks_go_on(server: Server) -> None:
    async def train() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        meter = Declared()
        async with batchbandit.trial(server.url, a_job(), meter=meter, clock=meter.clock) as trial:
            meter.spend(1, 1)
            ticking = asyncio.ensure_future(tick())
            await trial.report(0.95)
            ticking.cancel()
        return ticks

    assert asyncio.run(train()) > 1


@pytest.mark.parametrize("error", [ValueError("x"), MemoryError()])
def test_an_asynchronous_block_left_by_an_exception_has_failed(server: Server, error: Exception) -> None:
    job = a_job()

    async def train() -> None:
        async with batchbandit.trial(server.url, job, meter=Declared()):
            raise error

    with pytest.raises(type(error)):
        asyncio.run(train())
    reason = "out_of_memory" if isinstance(error, MemoryError) else "ValueError"
    assert trials(server.database, job, "status, failure_reason") == [("Failed", reason)]


def test_a_cancelled_training_was_preempted(server: Server) -> None:
    job = a_job()

    async def train() -> None:
        async with batchbandit.trial(server.url, job, meter=Declared()):
            await asyncio.sleep(60)

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(train(), 1.0)

    asyncio.run(cancelled())
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_training_that_is_cancelled_while_it_asks_was_preempted(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, meter = a_job(), Declared()
    asked, answered = threading.Event(), threading.Event()
    suggest = Service.suggest

    def slowly(service: Service, job_id: str, key: str) -> TrialName:
        asked.set()
        assert answered.wait(30)
        return suggest(service, job_id, key)

    monkeypatch.setattr(Service, "suggest", slowly)

    async def train() -> None:
        async with batchbandit.trial(server.url, job, meter=meter):
            pass

    async def cancelled() -> None:
        training = asyncio.ensure_future(train())
        await in_thread(asked.wait, 30)
        training.cancel()
        await asyncio.sleep(0)
        answered.set()
        with pytest.raises(asyncio.CancelledError):
            await training

    asyncio.run(cancelled())
    assert trials(server.database, job, "status, failure_reason") == [("Failed", "preempted")]


def test_a_thread_is_waited_for_however_often_its_task_is_cancelled() -> None:
    begun, may_end = threading.Event(), threading.Event()
    ended = []

    def work() -> None:
        begun.set()
        assert may_end.wait(30)
        ended.append(True)

    async def cancelled() -> None:
        task = asyncio.ensure_future(in_thread(work))
        await in_thread(begun.wait, 30)
        for every in range(3):
            for each in asyncio.all_tasks() - {asyncio.current_task()}:  # as the end of the loop does
                each.cancel()
            await asyncio.sleep(0.01 * every)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == [True]

    asyncio.run(cancelled())
