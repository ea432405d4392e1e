"""What is shown of a job, held against the model of the protocol."""

import copy
from typing import Any
from urllib.parse import urlencode

import httpx
from msgspec import json

from tests.fuzz.job import Job
from tests.fuzz.outcomes import Refusal, row_of

PAGE = 7
RULES = {
    "Exploration": {"default", "smaller", "larger", "sought", "probed"},
    "MAB": {"unexplored", "sampled"},
    "Concurrent": {"stand_in", "paused", "chosen"},
}
"""Of trials of a type; one that came late may have been of another."""


class Looker:
    """Looks at what a service shows."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        self.statuses: list[int] = []

    def look_at(self, name: str, job: Job) -> None:
        """Hold all that is shown of a job against what it is."""
        trials = list(self.pages(f"/api/v1/jobs/{name}/trials", "trials", order="oldest"))
        assert [known(trial) for trial in trials] == [row_of(trial) for trial in job.trials.values()]
        exported = self.get(f"/api/v1/jobs/{name}/export?format=jsonl").content.splitlines()
        assert [json.decode(line) for line in exported] == trials
        for trial in trials[-PAGE:]:
            self.look_at_decision(name, trial)
        shown = self.get(f"/api/v1/jobs/{name}").json()
        [listed] = [one for one in self.pages("/api/v1/jobs", "jobs", prefix=name) if one["job_id"] == name]
        assert {member: shown[member] for member in listed if member != "savings"} == {
            member: value for member, value in listed.items() if member != "savings"
        }
        statuses = [trial.status for trial in job.trials.values()]
        converged = [trial for trial in job.trials.values() if trial.converged]
        assert shown["stage"] == ("MAB" if job.is_in_bandit else "Pruning")
        assert shown["num_running"] == statuses.count("Dispatched")
        assert shown["num_failed"] == statuses.count("Failed")
        assert shown["num_converged"] == len(converged)
        assert shown["num_unconverged"] == statuses.count("Succeeded") - len(converged)
        assert shown["specification"]["batch_sizes"] == sorted(job.specification["batch_sizes"])
        assert sum(one["num_trials"] for one in shown["batch_sizes"]) == len(trials)
        is_stuck = isinstance(copy.deepcopy(job).suggest(), Refusal)
        assert ((shown["problem"] or {}).get("trouble") == "stuck") == is_stuck, shown["problem"]
        stuck = {one["job_id"] for one in self.pages("/api/v1/jobs", "jobs", prefix=name, trouble="stuck")}
        assert (name in stuck) == is_stuck

    def look_at_decision(self, name: str, trial: dict[str, Any]) -> None:
        """See that a trial says why it has its batch size."""
        path = f"/api/v1/jobs/{name}/trials/{trial['trial_number']}"
        decision = self.get(f"{path}/decision").json()
        assert self.get(path).json() == trial
        assert (decision["rule"], decision["batch_size"]) == (trial["rule"], trial["batch_size"])
        assert str(trial["batch_size"]) in decision["sentence"]
        assert trial["is_late"] or trial["rule"] in RULES[trial["type"]]
        drawn = [arm for arm in decision["arms"] if arm["sampled_cost"] is not None]
        sampled = {arm["batch_size"]: arm["sampled_cost"] for arm in drawn}
        if trial["rule"] == "sampled":
            assert min(sampled, key=sampled.__getitem__) == trial["batch_size"]

    def pages(self, path: str, member: str, **query: object) -> list[dict[str, Any]]:
        """Return what a list has, page by page."""
        found: list[dict[str, Any]] = []
        asked = query | {"limit": PAGE}
        while True:
            page = self.get(f"{path}?{urlencode(asked)}").json()
            found += page[member]
            if page["next"] is None:
                return found
            asked["cursor"] = page["next"]

    def get(self, path: str) -> httpx.Response:
        """Ask for what is there."""
        answer = self.http.get(path)
        self.statuses.append(answer.status_code)
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer


def known(trial: dict[str, Any]) -> tuple[Any, ...]:
    """Return what the model knows of a trial that is shown."""
    names = ("trial_number", "batch_size", "type", "status", "time", "energy", "converged", "failure_reason")
    return (*(trial[name] for name in names), trial["is_late"], trial["energy_source"], trial["epochs"])
