"""What a training job says, with an answer a call."""

import itertools
from typing import Any

import httpx

_names = itertools.count(1)


def job_body(**changes: object) -> dict[str, Any]:
    """Return a specification of a job of its own name."""
    body = {
        "job_id": f"job-{next(_names)}",
        "job_id_prefix": "job",
        "batch_sizes": [8, 16, 32],
        "default_batch_size": 16,
        "max_epochs": 10,
        "mab_seed": 1,
        "max_power": 200.0,
        "number_of_gpus": 1,
        "gpu_model": "V100",
    }
    return {name: value for name, value in (body | changes).items() if value is not ...}


def report_body(trial: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return a report of a first epoch that reaches the target at a cost of 20,000 J."""
    said = {"time": 100.0, "energy": 20_000.0, "metric": 0.9, "current_epoch": 1}
    return trial | said | changes


class Api:
    """The compatible calls."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def register(self, **changes: object) -> dict[str, Any]:
        """Register a job that is new; return the specification in force."""
        answer = self.http.post("/jobs", json=job_body(**changes))
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def suggest(self, job_id: str) -> httpx.Response:
        """Ask for a batch size."""
        return self.http.get("/jobs/batch_size", params={"job_id": job_id})

    def trial(self, job_id: str) -> dict[str, Any]:
        """Return a new trial."""
        answer = self.suggest(job_id)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def report(self, trial: dict[str, Any], **changes: object) -> httpx.Response:
        """Report an epoch."""
        return self.http.post("/report", json=report_body(trial, **changes))

    def end(self, trial: dict[str, Any]) -> httpx.Response:
        """End a trial."""
        return self.http.request("PATCH", "/trials", json=trial)

    def delete(self, job_id: str) -> httpx.Response:
        """Delete a job."""
        return self.http.delete("/jobs", params={"job_id": job_id})

    def run(self, job_id: str, **changes: object) -> dict[str, Any]:
        """Run a training that ends with one report; return its trial."""
        trial = self.trial(job_id)
        answer = self.report(trial, **changes)
        assert answer.json()["stop_train"], answer.text
        assert self.end(trial).status_code == 200
        return trial

    def to_bandit(self, job_id: str, costs: dict[int, float]) -> None:
        """Run a job of two rounds through its pruning stage; ``costs`` are joules a batch size."""
        for _ in range(2 * len(costs)):
            trial = self.trial(job_id)
            energy = costs[trial["batch_size"]]
            self.report(trial, energy=energy, time=energy / 200)
            self.end(trial)
