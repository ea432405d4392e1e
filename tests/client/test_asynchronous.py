"""A trial in asynchronous code."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

import batchbandit
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
