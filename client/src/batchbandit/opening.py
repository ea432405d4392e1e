"""How a trial begins and ends: as a block, plain or asynchronous."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from batchbandit.addresses import Address
from batchbandit.asking import Asking, Suggestion
from batchbandit.asynchronous import AsyncTrial, in_thread
from batchbandit.energy.finding import find_meter
from batchbandit.energy.meters import NO_SOURCE, NoMeter
from batchbandit.fleet import Fleet, assigned_elsewhere, check_divisible
from batchbandit.folders import state_folder
from batchbandit.notices import say_once
from batchbandit.ranks import find_ranks
from batchbandit.reasons import PREEMPTED
from batchbandit.results import Results
from batchbandit.service import PATIENCE_SECONDS, Service
from batchbandit.shield import shielded
from batchbandit.spool import Spool
from batchbandit.stopwatch import Stopwatch
from batchbandit.termination import Termination
from batchbandit.trials import Talk, Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from batchbandit.energy.meters import EnergyMeter
    from batchbandit.jobs import JobSpec
    from batchbandit.ranks import Ranks

UNKNOWN_POWER = 1.0
"""Watts, where none are known: the cost, time alone, is in seconds then."""


@dataclass(frozen=True)
class Settings:
    """What a trial is made with; ``trial`` says what each is."""

    address: Address
    job: JobSpec
    meter: EnergyMeter | None
    gpus: Sequence[int | str] | None
    ranks: Ranks | None
    clock: Callable[[], float]
    patience_seconds: float


def trial(
    url: str,
    job: JobSpec,
    *,
    token: str | None = None,
    meter: EnergyMeter | None = None,
    gpus: Sequence[int | str] | None = None,
    ranks: Ranks | None = None,
    clock: Callable[[], float] = time.monotonic,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Opening:
    """Return a block that is one training: ``with`` gives a ``Trial``, ``async with`` an ``AsyncTrial``.

    In a block that is left by an exception the trial has failed, with the exception's type as the reason;
    ``preempted`` after SIGTERM or an interrupt, ``out_of_memory`` where that is what it was. Nothing that
    goes wrong with the service is raised: the training goes on, and the logger ``batchbandit`` says how.

    Args:
        url: The service's address, its token as the password if need be.
        job: What recurs.
        token: The service's token, else the URL's, else that of ``BATCHBANDIT_TOKEN``.
        meter: What measures the energy; found, and closed at the end, where it is None.
        gpus: The GPUs of this process by index or UUID; those that CUDA sees where it is None.
        ranks: The processes of one training; found where it is None.
        clock: Seconds, from any beginning.
        patience_seconds: How long a call is repeated before the service is taken to be away.

    Raises:
        ValueError: The URL or a GPU is none, or batch sizes cannot be shared among the ranks.
    """
    address = Address.of(url, token)
    return Opening(Settings(address, job.named(), meter, gpus, ranks, clock, patience_seconds))


class Opening:
    """A block that is one training."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._termination = Termination()
        self._running: Running | None = None
        self._process = 0

    def __enter__(self) -> Trial:
        self._termination.start()
        try:
            with self._termination.heeded():
                return self.open()
        except BaseException as error:  # a signal, say, may come when the trial has just begun
            self.__exit__(type(error), error, error.__traceback__)
            raise

    def open(self) -> Trial:
        """Begin the trial."""
        self._process = os.getpid()
        self._running = begin(self._settings, self._termination)
        return self._running.trial

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._termination.stop()
        finally:  # which a signal may yet break in on
            self.close(error)

    def close(self, error: BaseException | None) -> None:
        """End the trial, once, and not where a forked child leaves the block."""
        running, self._running = self._running, None
        if running is not None and os.getpid() == self._process:
            running.end(error, was_terminated=self._termination.has_come)

    async def __aenter__(self) -> AsyncTrial:
        self._termination.start()  # here, in the main thread
        try:
            return AsyncTrial(await in_thread(self.open))
        except BaseException as error:  # a task that was cancelled meanwhile has begun a trial all the same
            await self.__aexit__(type(error), error, error.__traceback__)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._termination.stop()
        finally:
            await in_thread(self.close, error)


@dataclass(frozen=True)
class Running:
    """A trial that has begun, and what is let go of when it ends."""

    trial: Trial
    held: ExitStack

    def end(self, error: BaseException | None, *, was_terminated: bool) -> None:
        """End the trial and let go of meter and connections."""
        with shielded("ending a trial"), self.held:
            self.trial.end(error, was_terminated=was_terminated)


def begin(settings: Settings, termination: Termination) -> Running:
    """Find ranks and meter, ask for a batch size on rank 0, and begin to measure."""
    ranks = find_ranks(settings.ranks)
    check_divisible(settings.job.batch_sizes, ranks.size)
    with ExitStack() as held:  # what is let go of where something goes wrong meanwhile
        meter = own_meter(settings, ranks)
        if meter is not settings.meter:  # one that was given is its giver's to close
            held.callback(meter.close)
        job = completed(settings.job, Fleet.of(ranks, meter.devices), ranks, meter)
        suggestion, talk = Suggestion(job.default_batch_size, None, "rank 0 has said nothing"), None
        if ranks.rank == 0:
            with shielded("asking for a batch size"):
                suggestion, talk = asked(settings, job, held)
        suggestion = Suggestion(*ranks.share(list(suggestion)))
        stopwatch = Stopwatch(settings.clock, meter, ranks)
        return Running(Trial(job, suggestion, ranks, stopwatch, termination, talk), held.pop_all())


def asked(settings: Settings, job: JobSpec, held: ExitStack) -> tuple[Suggestion, Talk]:
    """Ask for a batch size."""
    service = Service(settings.address, patience_seconds=settings.patience_seconds)
    held.callback(service.close)
    state = state_folder()
    results = Results(state, settings.address.url)
    suggestion, conversation = Asking(service, job, Spool(state), results).ask()
    if conversation is not None:
        held.callback(conversation.end, PREEMPTED)  # where it has not ended otherwise
    return suggestion, Talk(conversation, results)


def own_meter(settings: Settings, ranks: Ranks) -> EnergyMeter:
    """Return what measures the devices that no lower rank measures."""
    meter = settings.meter or find_meter(settings.gpus)
    elsewhere = assigned_elsewhere(ranks, meter.devices)
    if not elsewhere:
        return meter
    if settings.meter is None:
        meter.close()
        return find_meter(settings.gpus, leave_out=elsewhere)
    return NoMeter()


def completed(job: JobSpec, fleet: Fleet, ranks: Ranks, meter: EnergyMeter) -> JobSpec:
    """Fill in what is found of the GPUs; where energy cannot be weighed with time, the cost is time alone."""
    max_power = job.max_power or fleet.max_power
    why = None
    if all(source in {None, NO_SOURCE} for source in ranks.gather(meter.read().source)):
        why = "Nothing measures energy here"
    elif not max_power:
        why = "What is measured does not tell its highest power, and max_power is not named"
    if why is not None and job.eta_knob > 0:
        if ranks.rank == 0:
            say_once(f"{why}, so the cost is time alone (eta_knob 0).")
        job = replace(job, eta_knob=0.0)
    return replace(
        job,
        max_power=max_power or UNKNOWN_POWER,
        number_of_gpus=job.number_of_gpus or fleet.number_of_gpus or 1,
        gpu_model=job.gpu_model or fleet.model or "none",
    )
