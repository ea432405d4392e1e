"""The protocol as a plain model: what a service that keeps it would answer.

It is written from the description of the protocol and shares no code with the service. Where chance decides,
it knows what may be chosen.
"""

import math
from dataclasses import dataclass
from typing import Any

from tests.fuzz.walk import Walk

Body = dict[str, Any]

DEFAULTS: Body = {
    "eta_knob": 0.5,
    "beta_knob": 2.0,
    "target_metric": 0.5,
    "higher_is_better_metric": True,
    "max_epochs": 100,
    "num_pruning_rounds": 2,
    "window_size": 0,
    "mab_prior_mean": 0.0,
    "mab_prior_precision": 0.0,
    "mab_num_explorations": 2,
    "mab_seed": None,
}
REQUIRED = ("job_id_prefix", "batch_sizes", "default_batch_size", "max_power", "number_of_gpus", "gpu_model")
LARGEST_COST = 1e100
"""Joules."""


@dataclass(frozen=True)
class Refusal:
    """An answer that is a problem of some kind."""

    status: int
    kind: str


@dataclass(frozen=True)
class Answer:
    """An answer that is not; ``phrase`` is in its message, where it has one."""

    status: int
    body: Body | None
    phrase: str = ""


@dataclass
class Trial:
    """A training; seconds and joules once it has a result, ``was_heard`` once it has reported an epoch."""

    number: int
    batch_size: int
    kind: str
    status: str = "Dispatched"
    was_heard: bool = False
    time: float | None = None
    energy: float | None = None
    converged: bool | None = None


@dataclass(frozen=True)
class Dispatch:
    """A new trial, whose batch size is 0 until it is known which of some the service has chosen."""

    job_id: str
    trial: Trial
    batch_sizes: frozenset[int]


class Job:
    """A registered job."""

    def __init__(self, specification: Body, last_number: int) -> None:
        self.specification = specification
        self.last_number = last_number
        self.trials: dict[int, Trial] = {}
        self.walk: Walk | None = Walk(
            list(specification["batch_sizes"]),
            specification["default_batch_size"],
            specification["num_pruning_rounds"],
        )
        self.arms: dict[int, int] = {}
        self.thirds_failed: dict[int, int] = {}
        self.min_cost: float | None = None
        self.cheapest: int = specification["default_batch_size"]

    def suggest(self) -> Dispatch | Refusal:
        """Dispatch a trial, whose batch size the service is to choose."""
        if self.walk is None:
            return self._draw()
        if any(trial.status == "Dispatched" for trial in self._explorations()):
            return self._dispatch("Concurrent", {self.cheapest})
        while self.walk.next_size is not None and self._is_set_aside(self.walk.next_size):
            self.walk.fail()
        if self.walk.is_lost:
            return Refusal(409, "no-batch-size-left")
        if self.walk.next_size is not None:
            return self._dispatch("Exploration", {self.walk.next_size})
        self.arms = dict.fromkeys(sorted(self.walk.batch_sizes), 0)
        for trial in self._explorations():
            if trial.batch_size in self.arms and trial.status == "Succeeded":
                self.arms[trial.batch_size] += 1
        self.walk = None
        return self._draw()

    def report(self, trial: Trial, said: Body) -> Answer | Refusal:
        """Judge a report of one of the job's trials."""
        if trial.status == "Succeeded":
            again = f"Result for this trial({trial.number}) is already reported."
            return verdict(again, stop_train=True, converged=bool(trial.converged))
        if trial.status == "Failed":
            return Refusal(400, "trial-failed")
        terms = self.specification
        cost = self._cost(said)
        if not 0 < cost <= LARGEST_COST:
            return Refusal(422, "invalid-request")
        bound = math.inf
        if terms["beta_knob"] is not None and self.min_cost is not None:
            bound = terms["beta_knob"] * self.min_cost
        metric, target = said["metric"], terms["target_metric"]
        reached = metric >= target if terms["higher_is_better_metric"] else metric <= target
        if cost <= bound and not reached and said["current_epoch"] < terms["max_epochs"]:
            trial.was_heard = True
            return verdict("Stop condition not met, keep training", stop_train=False, converged=False)
        trial.status, trial.time, trial.energy = "Succeeded", said["time"], said["energy"]
        trial.converged = reached and cost <= bound
        self._learn(trial, cost)
        phrase = "Train succeeded" if reached else f"converge within max_epoch({terms['max_epochs']})"
        phrase = phrase if cost <= bound else "exceeded the cost upper bound"
        return verdict(phrase, stop_train=True, converged=trial.converged)

    def end(self, trial: Trial) -> None:
        """End a trial; one without a result has failed."""
        if trial.status == "Dispatched":
            trial.status = "Failed"
            failed = self.thirds_failed.get(trial.batch_size, 0)
            self.thirds_failed[trial.batch_size] = failed + (1 if trial.was_heard else 3)

    def find(self, name: Body) -> Trial | None:
        """Return the trial of a number and a batch size."""
        trial = self.trials.get(name["trial_number"])
        return trial if trial is not None and trial.batch_size == name["batch_size"] else None

    def _explorations(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.kind == "Exploration"]

    def _dispatch(self, kind: str, batch_sizes: set[int]) -> Dispatch:
        self.last_number += 1
        trial = Trial(self.last_number, 0, kind)
        self.trials[trial.number] = trial
        return Dispatch(self.specification["job_id"], trial, frozenset(batch_sizes))

    def _draw(self) -> Dispatch | Refusal:
        """Try an arm with fewer results than are asked for, or else any; one without results comes first."""
        arms = {size: seen for size, seen in self.arms.items() if not self._is_set_aside(size)}
        if not arms:
            return Refusal(409, "no-batch-size-left")
        wanted = max(self.specification["mab_num_explorations"], 1)
        return self._dispatch("MAB", {size for size, seen in arms.items() if seen < wanted} or set(arms))

    def _is_set_aside(self, batch_size: int) -> bool:
        """Tell whether a batch size has failed too often in a row; where the job has no limit, none has."""
        limit = self.specification.get("max_failures", math.inf)
        return bool(self.thirds_failed.get(batch_size, 0) >= 3 * limit)

    def _learn(self, trial: Trial, cost: float) -> None:
        """Let a trial that has just got its result change the job."""
        self.thirds_failed.pop(trial.batch_size, None)
        if trial.converged and (self.min_cost is None or cost < self.min_cost):
            self.min_cost, self.cheapest = cost, trial.batch_size
        if trial.kind == "Exploration" and self.walk is not None:
            if trial.converged:
                self.walk.succeed(cost)
            else:
                self.walk.fail()
        if self.walk is None and trial.batch_size in self.arms:
            results = [
                other
                for other in self.trials.values()
                if other.batch_size == trial.batch_size and other.status == "Succeeded"
            ]
            window = self.specification["window_size"]
            self.arms[trial.batch_size] = min(len(results), window) if window > 0 else len(results)

    def _cost(self, said: Body) -> float:
        """Return the energy-time cost of a report, in joules."""
        eta = self.specification["eta_knob"]
        cost: float = eta * said["energy"] + (1 - eta) * self.specification["max_power"] * said["time"]
        return cost


class Protocol:
    """All jobs of a service; each call returns what is to be answered, for bodies that are well formed."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self._last_numbers: dict[str, int] = {}

    def register(self, body: Body) -> Answer | Refusal:
        """Register a job by its name."""
        wanted = specification_of(body)
        job = self.jobs.get(wanted["job_id"])
        if job is None:
            self.jobs[wanted["job_id"]] = Job(wanted, self._last_numbers.get(wanted["job_id"], 0))
            return Answer(201, wanted)
        if job.specification == wanted:
            return Answer(200, wanted)
        return Refusal(409, "specification-conflict")

    def suggest(self, job_id: str) -> Dispatch | Refusal:
        """Dispatch a trial."""
        job = self.jobs.get(job_id)
        return Refusal(400, "unknown-job") if job is None else job.suggest()

    def report(self, body: Body) -> Answer | Refusal:
        """Take a report."""
        job = self.jobs.get(body["job_id"])
        if job is None:
            return Refusal(400, "unknown-job")
        trial = job.find(body)
        return Refusal(400, "unknown-trial") if trial is None else job.report(trial, body)

    def end(self, body: Body) -> Answer | Refusal:
        """End a trial."""
        job = self.jobs.get(body["job_id"])
        trial = None if job is None else job.find(body)
        if job is None or trial is None:
            return Refusal(404, "trial-not-found")
        job.end(trial)
        return Answer(200, None)

    def delete(self, job_id: str) -> Answer | Refusal:
        """Delete a job; only its highest trial number outlives it."""
        if job_id not in self.jobs:
            return Refusal(404, "job-not-found")
        self._last_numbers[job_id] = self.jobs.pop(job_id).last_number
        return Answer(200, None)


def specification_of(body: Body) -> Body:
    """Return the specification that a body states: all its members, batch sizes ascending."""
    known = {name: value for name, value in body.items() if name in {*DEFAULTS, *REQUIRED, "job_id"}}
    return DEFAULTS | known | {"batch_sizes": sorted(body["batch_sizes"])}


def verdict(phrase: str, *, stop_train: bool, converged: bool) -> Answer:
    """Return the answer to a report."""
    return Answer(200, {"stop_train": stop_train, "converged": converged}, phrase)
