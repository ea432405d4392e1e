"""What has to be done when nobody asks: leases run out, and what is kept for a time has been kept for it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from service.engine import commit
from service.engine.commands import Expire
from service.engine.commit import GroupCommit
from service.errors import ServiceError
from service.store import feed, reading, writing

T = TypeVar("T")

log = logging.getLogger("batchbandit.sweeper")

PAUSE_SECONDS = 2.0
"""Between two looks, by half of it more or less, so that replicas do not look at one time."""
MOST_JOBS = 256
MOST_ANSWERS = 1000
MOST_EVENTS = 1000


class Database(commit.Database, Protocol):
    """What the sweeper needs of a store."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run ``work``, which reads."""


@asynccontextmanager
async def sweeping(
    database: Database, engine: GroupCommit, key_seconds: float, event_seconds: float
) -> AsyncIterator[None]:
    """Sweep again and again, until the context ends."""
    task = asyncio.create_task(_sweep_forever(database, engine, key_seconds, event_seconds), name="sweeper")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _sweep_forever(
    database: Database, engine: GroupCommit, key_seconds: float, event_seconds: float
) -> None:
    while True:
        try:
            await asyncio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311  (no secret)
            while await sweep(database, engine, key_seconds, event_seconds):
                pass
        except ServiceError as error:
            log.warning("the sweep waits: %s", error)
        except Exception:
            log.exception("the sweep failed")


async def sweep(database: Database, engine: GroupCommit, key_seconds: float, event_seconds: float) -> bool:
    """Fail trials whose leases have run out and drop what is old; tell whether there may be more.

    What is read is found by an index on when it is due: nothing that is not due is looked at.
    """
    due = await database.read(partial(reading.due_jobs, limit=MOST_JOBS))
    failed: list[Exception] = []
    if due:
        # The engine looks again under the job's lock: who comes second finds nothing.
        outcomes = await engine.submit_together([Expire(job_id) for job_id in due])
        failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        if failed:
            log.warning("%d of %d jobs could not be looked at: %s", len(failed), len(due), failed[0])
    now, oldest_answer = await database.read(reading.oldest_answer)
    before = now - timedelta(seconds=key_seconds)
    has_old_answers = oldest_answer is not None and oldest_answer <= before
    if has_old_answers:
        await database.transact(partial(writing.delete_answers, before=before, limit=MOST_ANSWERS))
    before = now - timedelta(seconds=event_seconds)
    oldest_event = await database.read(feed.oldest)
    has_old_events = oldest_event is not None and oldest_event <= before
    if has_old_events:
        await database.transact(partial(feed.delete_old, before=before, limit=MOST_EVENTS))
    return (len(due) == MOST_JOBS and not failed) or has_old_answers or has_old_events
