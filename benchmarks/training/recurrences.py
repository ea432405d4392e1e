"""A pipeline that trains again and again, each time with the batch size that the service says."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

import batchbandit
from batchbandit.energy.finding import find_meter
from batchbandit.energy.meters import NO_SOURCE
from benchmarks.server import Server, ServerFailed, free_port, launch, stop
from benchmarks.training.declared import DeclaredGpu
from benchmarks.training.network import Training
from benchmarks.training.plans import BETA, ETA, Plan

NO_GPUS = ()
"""The network is trained on the CPU."""


class Recurrence(Struct, frozen=True):
    """One training, as it went and as the service has kept it: seconds, joules, epochs."""

    number: int
    seed: int
    batch_size: int
    epochs: int
    stage: str
    seconds: float
    joules: float
    converged: bool
    message: str


@contextmanager
def served(program: Path) -> Iterator[Server]:
    """Serve a database of its own, and give the client a folder of its own; both are deleted at the end.

    Raises:
        ServerFailed: The program is not there, or did not become healthy.
    """
    with TemporaryDirectory(prefix="batchbandit-") as folder:
        port, database = free_port(), Path(folder) / "batchbandit.db"
        url = f"sqlite+aiosqlite:///{database}"
        address = ["--host", "127.0.0.1", "--port", str(port)]
        child = launch(
            [str(program), "serve", *address, "--database-url", url], port, Path(folder) / "server.log"
        )
        os.environ["BATCHBANDIT_STATE_DIR"] = f"{folder}/client"
        try:
            yield Server(child.url, child.process, child.log, url, database)
        finally:
            stop(child)


def own_eta() -> float:
    """Return the share of energy in the cost where this machine measures: none where nothing does."""
    meter = find_meter(NO_GPUS)
    source = meter.read().source
    meter.close()
    return 0.0 if source == NO_SOURCE else ETA


def job_of(plan: Plan, job_id: str, eta: float) -> batchbandit.JobSpec:
    """Return what the service is told of a plan; the client adds what it finds of the machine."""
    return batchbandit.JobSpec(
        job_id=job_id,
        batch_sizes=plan.batch_sizes,
        default_batch_size=plan.default_batch_size,
        eta_knob=eta,
        beta_knob=BETA,
        target_metric=plan.target,
        max_epochs=plan.max_epochs,
        mab_seed=plan.mab_seed,
    )


def recur(server: Server, plan: Plan, job_id: str, *, is_declared: bool) -> Iterator[Recurrence]:
    """Train as often as planned.

    Args:
        server: Is asked and told.
        plan: What recurs.
        job_id: Its name.
        is_declared: Whether time and energy are declared, or those of this machine.

    Raises:
        ServerFailed: The service was not there, or it has no batch size left.
    """
    job = job_of(plan, job_id, ETA if is_declared else own_eta())
    for number in range(plan.recurrences):
        seed = number % plan.seeds
        gpu = DeclaredGpu()
        block = (
            batchbandit.trial(server.url, job, meter=gpu, clock=gpu.clock)
            if is_declared
            else batchbandit.trial(server.url, job, gpus=NO_GPUS)
        )
        with block as trial:
            if trial.fallback is not None:
                raise ServerFailed(trial.fallback)
            training = Training(plan, trial.batch_size, seed)
            epochs = 0
            for epochs in trial.epochs():  # noqa: B007  (the last one counts)
                training.train(gpu.step)
                trial.report(training.accuracy())
        stage, seconds, joules, converged = _kept(server.database, job_id, trial.trial_number)
        if converged != trial.converged:
            raise ServerFailed(
                f"the client was told otherwise than what is kept of trial {trial.trial_number}"
            )
        yield Recurrence(
            number, seed, trial.batch_size, epochs, stage, seconds, joules, converged, trial.message
        )


def _kept(database: Path, job_id: str, trial_number: int | None) -> tuple[str, float, float, bool]:
    """Return what the service's SQLite file says of a trial that has ended by its verdict."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as connection:
        row = connection.execute(
            'SELECT type, time, energy, converged FROM "Trial"'
            " WHERE job_id = ? AND trial_number = ? AND status = 'Succeeded'",
            (job_id, trial_number),
        ).fetchone()
    if row is None:
        raise ServerFailed(f"the service knows no end of trial {trial_number}")
    stage, seconds, joules, converged = row
    return str(stage), float(seconds), float(joules), bool(converged)
