"""A trial in asynchronous code: what waits for the service or the GPU waits in a thread."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from batchbandit.trials import Trial
    from batchbandit.verdicts import Verdict

T = TypeVar("T")


class AsyncTrial:
    """A ``Trial`` whose reports are awaited; its other members are those of the trial."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    async def epochs(self) -> AsyncIterator[int]:
        """Count the epochs from 1 until the training is to stop."""
        for epoch in self.trial.epochs():
            yield epoch

    async def report(self, metric: float) -> Verdict:
        """Report the metric after an epoch, and return what is said of the training."""
        return await in_thread(self.trial.report, metric)

    @property
    def batch_size(self) -> int:
        """The batch size of all ranks together."""
        return self.trial.batch_size

    @property
    def per_device_batch_size(self) -> int:
        """This rank's share of the batch size."""
        return self.trial.per_device_batch_size

    @property
    def trial_number(self) -> int | None:
        """The trial's number, None where the service could not be asked."""
        return self.trial.trial_number

    @property
    def fallback(self) -> str | None:
        """Why the batch size is not the service's choice."""
        return self.trial.fallback

    @property
    def stopped(self) -> bool:
        """Whether the training is to stop."""
        return self.trial.stopped

    @property
    def converged(self) -> bool:
        """Whether the target was reached within the bounds."""
        return self.trial.converged

    @property
    def message(self) -> str:
        """Why the training is to stop or to go on."""
        return self.trial.message


async def in_thread(function: Callable[..., T], *arguments: object) -> T:
    """Call a function in a thread and wait for it, even where the waiting task is cancelled meanwhile."""
    import asyncio  # noqa: PLC0415 -- takes as long as all else here, and few trainings are asynchronous

    # No task, which the end of the event loop would cancel while the thread goes on.
    done = asyncio.get_running_loop().run_in_executor(None, partial(function, *arguments))
    cancelled = None
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError as error:  # noqa: PERF203 -- it may be cancelled again
            cancelled = error
    if cancelled is None:
        return done.result()
    done.exception()  # is of no interest any more
    raise cancelled
