"""A user whose training recurs: asks for a batch size, trains, reports, and tries again after a failure."""

from typing import NamedTuple
from urllib.parse import quote

import httpx
import msgspec
import numpy as np
from msgspec import Struct

from benchmarks.bodies import Suggestion, Verdict
from service.simulation.trainings import Epoch, drawn, epoch_of
from service.simulation.workloads import Spending, Workload
from service.views.shapes import JobView

MOST_TRIES = 100
"""Trainings of one recurrence after which something must be wrong."""


class Refused(Exception):
    """The service did not answer as this user needs; the message says what it said."""


class Attempt(NamedTuple):
    """One training: what it took until it was stopped, and whether it reached the target."""

    batch_size: int
    spent: Spending
    converged: bool


class Story(Struct):
    """A job and its recurrences so far; the last attempt of each converged."""

    job_id: str
    workload: Workload
    recurrences: list[list[Attempt]]

    def attempts(self, last: int) -> list[Attempt]:
        """Return the trainings of the last recurrences."""
        return [attempt for recurrence in self.recurrences[-last:] for attempt in recurrence]

    def spent(self, last: int) -> Spending:
        """Return what the last recurrences took, failed attempts included."""
        spent = [attempt.spent for attempt in self.attempts(last)]
        return Spending(sum(s.time for s in spent), sum(s.energy for s in spent))


class Pipeline:
    """Runs one workload against the service.

    Args:
        client: Knows the service's address.
        workload: What to train.
        rng: Where the trainings' chance comes from.
    """

    def __init__(self, client: httpx.AsyncClient, workload: Workload, rng: np.random.Generator) -> None:
        job_id = f"{workload.name}-{workload.gpu}".lower().replace(" ", "-")
        self.story = Story(job_id, workload, [])
        self._client = client
        self._rng = rng

    async def register(self, eta: float, seed: int) -> None:
        """Register the job, ``eta`` being the share of energy in its cost."""
        workload = self.story.workload
        await self._ask(
            "POST",
            "/jobs",
            {
                "job_id": self.story.job_id,
                "job_id_prefix": workload.name,
                "batch_sizes": workload.batch_sizes,
                "default_batch_size": workload.default_batch_size,
                "eta_knob": eta,
                "target_metric": workload.goal.target_metric,
                "higher_is_better_metric": workload.goal.higher_is_better,
                "max_epochs": workload.goal.max_epochs,
                "max_power": workload.max_power,
                "number_of_gpus": 1,
                "gpu_model": workload.gpu,
                "mab_seed": seed,
            },
        )

    async def recur(self) -> None:
        """Train until the target is reached."""
        attempts: list[Attempt] = []
        while not attempts or not attempts[-1].converged:
            if len(attempts) == MOST_TRIES:
                raise Refused(
                    f"{self.story.job_id}: {MOST_TRIES} trainings in a row did not reach the target"
                )
            attempts.append(await self._train())
        self.story.recurrences.append(attempts)

    async def _train(self) -> Attempt:
        """Train once, at the suggested batch size, reporting every epoch."""
        suggested = await self._ask("GET", f"/jobs/batch_size?job_id={self.story.job_id}")
        trial = msgspec.json.decode(suggested, type=Suggestion)
        body = msgspec.structs.asdict(trial)
        run = drawn(self.story.workload, trial.batch_size, self._rng)
        for number in range(1, len(run.curve) + 1):
            epoch = epoch_of(self.story.workload, run, number)
            verdict = await self._report(body, epoch)
            if verdict.stop_train:
                break
        await self._ask("PATCH", "/trials", body)
        return Attempt(trial.batch_size, epoch.spent, verdict.converged)

    async def _report(self, body: dict[str, object], epoch: Epoch) -> Verdict:
        said = {"time": epoch.time, "energy": epoch.energy, "metric": epoch.metric}
        told = await self._ask("POST", "/report", {**body, **said, "current_epoch": epoch.number})
        return msgspec.json.decode(told, type=Verdict)

    async def _ask(self, method: str, target: str, body: dict[str, object] | None = None) -> bytes:
        return await ask(self._client, method, target, body)


async def job_of(client: httpx.AsyncClient, job_id: str) -> JobView:
    """Return what the service knows of a job.

    Raises:
        Refused: It does not say.
        httpx.TransportError: There is no answer.
    """
    told = await ask(client, "GET", f"/api/v1/jobs/{quote(job_id, safe='')}")
    return msgspec.json.decode(told, type=JobView)


async def ask(
    client: httpx.AsyncClient, method: str, target: str, body: dict[str, object] | None = None
) -> bytes:
    """Send a request and return the body of its answer.

    Raises:
        Refused: It is no success.
        httpx.TransportError: There is no answer.
    """
    answer = await client.request(method, target, json=body)
    if not answer.is_success:
        raise Refused(f"{method} {target} was answered {answer.status_code}: {answer.text}")
    return answer.content
