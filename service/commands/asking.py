"""A running service that decides in a simulation: a job of its own for each seed."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Event
from typing import Any, TypeVar

from msgspec import Struct

from core.errors import NoBatchSizeLeft
from core.records import Policy
from service.commands.calling import Service
from service.commands.outcomes import Exit, Failed
from service.simulation.deciders import job_of
from service.simulation.recurrences import Decision, Dispatched
from service.simulation.scenarios import Scenario
from service.simulation.trainings import Epoch

T = TypeVar("T")

PREFIX = "simulation"
"""How the names of the jobs begin."""


class _Suggested(Struct, frozen=True):
    batch_size: int
    trial_number: int


class _Verdict(Struct, frozen=True):
    stop_train: bool
    converged: bool


class _Registered(Struct, frozen=True):
    job_id: str


class Asked:
    """A job of a service; see ``recurrences.Decider``."""

    def __init__(self, service: Service, job_id: str, is_over: Event) -> None:
        self._service = service
        self.job_id = job_id
        self._is_over = is_over

    def suggest(self) -> Dispatched:
        """Return a new trial."""
        try:
            said = self._ask("GET", "/jobs/batch_size", _Suggested, {"job_id": self.job_id})
        except Failed as error:
            if error.exit_code == Exit.REFUSED:
                raise NoBatchSizeLeft(error.message) from error
            raise
        return Dispatched(said.batch_size, said.trial_number)

    def report(self, trial: Dispatched, epoch: Epoch) -> Decision:
        """Report, and end the trial where it is to stop, as clients do."""
        body = self._body(trial) | {
            "time": epoch.time,
            "energy": epoch.energy,
            "metric": epoch.metric,
            "current_epoch": epoch.number,
        }
        verdict = self._ask("POST", "/report", _Verdict, body=body)
        said = Decision(verdict.stop_train, verdict.converged)
        if said.stop_train:
            self.lose(trial)  # which it is not, since it has its result
        return said

    def lose(self, trial: Dispatched) -> None:
        """End a trial; without a result it has failed."""
        self._ask("PATCH", "/trials", object, body=self._body(trial))

    def _ask(self, method: str, path: str, kind: type[T], *said: Any, **body: Any) -> T:  # noqa: ANN401
        if self._is_over.is_set():
            raise Failed(Exit.INTERRUPTED, "interrupted")
        return self._service.ask(method, path, kind, *said, **body)

    def _body(self, trial: Dispatched) -> dict[str, Any]:
        return {"job_id": self.job_id, **trial._asdict()}


def asking(
    service: Service, is_over: Event, *, is_kept: bool
) -> Callable[[Scenario, Policy, int, str | None], AbstractContextManager[Asked]]:
    """Return what registers a job with a service, and deletes it afterwards unless it is to be kept.

    Once it is over nothing is asked any more, and what decides raises ``Failed``.
    """

    @contextmanager
    def asked(scenario: Scenario, policy: Policy, seed: int, begins_with: str | None) -> Iterator[Asked]:
        body = _specification(scenario, policy, seed)
        if begins_with is not None:
            body["warm_start_from"] = begins_with
        registered = service.ask("POST", "/jobs", _Registered, body=body)
        try:
            yield Asked(service, registered.job_id, is_over)
        finally:
            if not is_kept:
                service.ask("DELETE", "/jobs", object, {"job_id": registered.job_id})

    return asked


def _specification(scenario: Scenario, policy: Policy, seed: int) -> dict[str, Any]:
    """Return the body that registers a job like the one that core decides for."""
    job = job_of(scenario, policy, seed)
    names = (
        "default_batch_size",
        "eta_knob",
        "beta_knob",
        "target_metric",
        "higher_is_better_metric",
        "max_epochs",
        "num_pruning_rounds",
        "window_size",
        "mab_prior_mean",
        "mab_prior_precision",
        "mab_num_explorations",
        "mab_seed",
        "max_power",
        "number_of_gpus",
        "gpu_model",
        "lease_seconds",
        "max_failures",
    )
    said = {name: getattr(job, name) for name in names}
    return said | {
        "job_id_prefix": PREFIX,
        "policy": policy.value,
        "batch_sizes": scenario.before.batch_sizes,
    }
