"""A job in the model of the protocol."""

import math
from collections.abc import Iterable

from tests.fuzz.outcomes import Answer, Body, Dispatch, Refusal, Trial, verdict
from tests.fuzz.walk import Walk

LARGEST_COST = 1e100
"""Joules."""
NO_TIME = 1e-9
"""Seconds of a lease that has run out by the next request; other leases outlast every sequence."""
EXPIRED = "lease_expired"
WHOLE = 3
"""Thirds of a failure."""
NO_FAULT = {"preempted", "unmeasured"}
"""Reasons that do not count against a batch size."""


class Job:
    """A registered job."""

    def __init__(self, specification: Body, last_number: int) -> None:
        self.specification = specification
        self.registered = specification
        self.is_paused = False
        self.last_number = last_number
        self.trials: dict[int, Trial] = {}
        self.start_over()

    def start_over(self) -> None:
        """Let nothing count that was before."""
        self.reset_number = self.last_number
        self.is_in_bandit = False
        self.arms: dict[int, int] = {}
        self.thirds_failed: dict[int, int] = {}
        self.min_cost: float | None = None
        self.cheapest: int = self.specification["default_batch_size"]

    def suggest(self) -> Dispatch | Refusal:
        """Dispatch a trial, whose batch size the service is to choose."""
        if self.is_in_bandit:
            return self._best_so_far() if self.is_paused else self._draw()
        explorations = [trial for trial in self._counted() if trial.kind == "Exploration"]
        if self.is_paused or any(trial.status == "Dispatched" for trial in explorations):
            return self._stand_in(explorations)
        walk = self._walked(explorations)
        if walk.is_lost:
            return self._no_size_left()
        if walk.next_size is not None:
            return self._dispatch("Exploration", walk.next_size)
        results = [trial.batch_size for trial in explorations if trial.status == "Succeeded"]
        self.arms = {size: results.count(size) for size in sorted(walk.batch_sizes)}
        self.is_in_bandit = True
        return self._draw()

    def begin(self, batch_size: int) -> Dispatch | Refusal:
        """Dispatch a trial at a batch size that its training has chosen, beside the walk and the draws."""
        if batch_size not in self.specification["batch_sizes"]:
            return Refusal(422, "invalid-request", str(batch_size))
        return self._dispatch("Concurrent", batch_size)

    def change(self, terms: Body) -> Answer | Refusal:
        """Go on under other terms: what was measured costs what it does under them."""
        before = self.specification
        changed = {name: value for name, value in terms.items() if before[name] != value}
        self.specification = before | changed
        results = [trial for trial in self._counted() if trial.status == "Succeeded"]
        costs = [self._cost(trial.time, trial.energy) for trial in results]
        if "eta_knob" in changed:
            if costs and not (min(costs) > 0 and max(costs) <= LARGEST_COST):
                self.specification = before
                return Refusal(422, "invalid-request")
            converged = [
                (cost, trial.number, trial.batch_size)
                for cost, trial in zip(costs, results, strict=True)
                if trial.converged
            ]
            self.min_cost, _, self.cheapest = min(converged, default=(None, 0, before["default_batch_size"]))
        if {"eta_knob", "window_size"} & changed.keys():
            for size in self.arms:
                self._count(size)
        return Answer(200, self.specification)

    def report(self, trial: Trial, said: Body) -> Answer | Refusal:
        """Judge a report of one of the job's trials."""
        if trial.status == "Succeeded":
            again = f"Result for this trial({trial.number}) is already reported."
            return verdict(again, stop_train=True, converged=bool(trial.converged))
        is_late = trial.reason == EXPIRED
        if trial.status == "Failed" and not is_late:
            return Refusal(400, "trial-failed", trial.reason or "no reason given")
        cost = self._cost(said["time"], said["energy"])
        if not 0 < cost <= LARGEST_COST:
            return Refusal(422, "invalid-request")
        phrase, is_over, converged = self._judged(trial, said, cost)
        if not is_over:
            trial.was_heard = True
            return verdict(phrase, stop_train=False, converged=False, is_late=is_late)
        if is_late and trial.kind == "Exploration" and self._was_explored_anew(trial):
            trial.kind = "Concurrent"
        trial.status, trial.time, trial.energy = "Succeeded", said["time"], said["energy"]
        trial.converged, trial.epochs = converged, said["current_epoch"]
        trial.reason, trial.is_late, trial.energy_source = None, is_late, said.get("energy_source")
        self._learn(trial, cost)
        return verdict(phrase, stop_train=True, converged=converged, is_late=is_late)

    def _judged(self, trial: Trial, said: Body, cost: float) -> tuple[str, bool, bool]:  # noqa: ARG002
        """Return what a report is answered with, whether the training is over, and whether it converged."""
        terms = self.specification
        bound = math.inf
        if terms["beta_knob"] is not None and self.min_cost is not None:
            bound = terms["beta_knob"] * self.min_cost
        metric, target = said["metric"], terms["target_metric"]
        reached = metric >= target if terms["higher_is_better_metric"] else metric <= target
        if cost > bound:
            return "exceeded the cost upper bound", True, False
        if reached:
            return "Train succeeded", True, True
        if said["current_epoch"] < terms["max_epochs"]:
            return "Stop condition not met, keep training", False, False
        return f"converge within max_epoch({terms['max_epochs']})", True, False

    def fail(self, trial: Trial, reason: str | None) -> None:
        """End a trial; one without a result has failed, which may be no fault of its batch size."""
        if trial.status != "Dispatched":
            return
        trial.status, trial.reason = "Failed", reason
        if reason in NO_FAULT or trial.number <= self.reset_number or self._is_set_aside(trial.batch_size):
            return
        is_lost = trial.was_heard and reason in {None, EXPIRED}
        failed = self.thirds_failed.get(trial.batch_size, 0)
        self.thirds_failed[trial.batch_size] = failed + (1 if is_lost else WHOLE)

    def beat(self, trial: Trial) -> Answer | Refusal:
        """Take a heartbeat."""
        if trial.status != "Dispatched":
            return Refusal(409, "trial-over")
        term = self.specification["lease_seconds"]
        if term == NO_TIME:
            self.fail(trial, EXPIRED)
        name = self.specification["job_id"]
        return Answer(200, {"job_id": name, "trial_number": trial.number, "lease_seconds": term})

    def find(self, name: Body) -> Trial | None:
        """Return the trial of a number and a batch size."""
        trial = self.trials.get(name["trial_number"])
        return trial if trial is not None and trial.batch_size == name["batch_size"] else None

    @property
    def set_aside(self) -> set[int]:
        """The batch sizes that have failed too often in a row, until the job starts over."""
        limit = WHOLE * self.specification["max_failures"]
        return {size for size, thirds in self.thirds_failed.items() if thirds >= limit}

    def _is_set_aside(self, batch_size: int) -> bool:
        return batch_size in self.set_aside

    def _counted(self) -> list[Trial]:
        """Return the trials since the job was last reset."""
        return [trial for number, trial in self.trials.items() if number > self.reset_number]

    def _walked(self, explorations: Iterable[Trial]) -> Walk:
        """Return the pruning stage after explorations that are over; one that failed was none."""
        results: dict[int, list[Trial]] = {}
        for trial in explorations:
            if trial.status == "Succeeded":
                results.setdefault(trial.batch_size, []).append(trial)
        terms = self.specification
        walk = Walk(list(terms["batch_sizes"]), terms["default_batch_size"], terms["num_pruning_rounds"])
        while (size := walk.next_size) is not None:
            explored = results[size].pop(0) if results.get(size) else None
            if explored is None and not self._is_set_aside(size):
                break
            if explored is None or not explored.converged:
                walk.fail()
            elif self._is_set_aside(size):
                walk.leave_out()
            else:
                walk.succeed(self._cost(explored.time, explored.energy))
        return walk

    def _was_explored_anew(self, trial: Trial) -> bool:
        return any(
            other.batch_size == trial.batch_size and other.kind == "Exploration" and number > trial.number
            for number, other in self.trials.items()
        )

    def _stand_in(self, explorations: Iterable[Trial]) -> Dispatch | Refusal:
        """Dispatch a trial that cannot wait for the exploration that runs."""
        left = [size for size in self.specification["batch_sizes"] if not self._is_set_aside(size)]
        if self.cheapest in left:
            return self._dispatch("Concurrent", self.cheapest)
        if not left:
            return self._no_size_left()
        costs = [
            (self._cost(trial.time, trial.energy), trial.batch_size)
            for trial in explorations
            if trial.converged and trial.batch_size in left
        ]
        return self._dispatch("Concurrent", min(costs)[1] if costs else min(left))

    def _no_size_left(self) -> Refusal:
        return Refusal(409, "no-batch-size-left", f"/api/v1/jobs/{self.specification['job_id']}/reset")

    def _dispatch(self, kind: str, *batch_sizes: int) -> Dispatch:
        self.last_number += 1
        trial = Trial(self.last_number, 0, kind)
        self.trials[trial.number] = trial
        return Dispatch(self.specification["job_id"], trial, frozenset(batch_sizes))

    def _draw(self) -> Dispatch | Refusal:
        """Try an arm with fewer results than are asked for, or else any; one without results comes first."""
        arms = {size: seen for size, seen in self.arms.items() if not self._is_set_aside(size)}
        if not arms:
            return self._no_size_left()
        wanted = max(self.specification["mab_num_explorations"], 1)
        return self._dispatch("MAB", *([size for size, seen in arms.items() if seen < wanted] or arms))

    def _best_so_far(self) -> Dispatch | Refusal:
        """Dispatch a trial at the best arm, which is one with results where there are some."""
        arms = {size: seen for size, seen in self.arms.items() if not self._is_set_aside(size)}
        if not arms:
            return self._no_size_left()
        return self._dispatch("Concurrent", *([size for size, seen in arms.items() if seen] or arms))

    def _learn(self, trial: Trial, cost: float) -> None:
        """Let a trial that has just got its result change the job; one of before it was reset does not."""
        size = trial.batch_size
        if trial.number <= self.reset_number:
            return
        if not self._is_set_aside(size):
            self.thirds_failed.pop(size, None)
        if trial.converged and (self.min_cost is None or cost < self.min_cost):
            self.min_cost, self.cheapest = cost, size
        if size in self.arms:
            self._count(size)

    def _count(self, size: int) -> None:
        """Let an arm have seen the results in its window."""
        results = [t for t in self._counted() if t.batch_size == size and t.status == "Succeeded"]
        window = self.specification["window_size"]
        self.arms[size] = min(len(results), window) if window > 0 else len(results)

    def _cost(self, time: float | None, energy: float | None) -> float:
        """Return the energy-time cost of a result, in joules."""
        assert time is not None
        assert energy is not None
        eta = self.specification["eta_knob"]
        cost: float = eta * energy + (1 - eta) * self.specification["max_power"] * time
        return cost
