"""The protocol as a plain model: what a service that keeps it would answer.

It is written from the description of the protocol and shares no code with the service, but for what policy
``frugal`` decides. Where chance decides, it knows what may be chosen.
"""

from tests.fuzz.frugal import Frugal
from tests.fuzz.job import EXPIRED, Job
from tests.fuzz.outcomes import Answer, Body, Dispatch, Refusal

NEW: Body = {"lease_seconds": 600.0, "max_failures": 3, "policy": "zeus", "warm_start_from": None}
"""What existing clients do not name: it is compared only where it is named."""
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
    **NEW,
}
REQUIRED = ("job_id_prefix", "batch_sizes", "default_batch_size", "max_power", "number_of_gpus", "gpu_model")


class Protocol:
    """All jobs of a service; each call returns what is to be answered, for bodies that are well formed."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.events: list[tuple[str, str]] = []
        """What was done to which job, as far as it is recorded."""
        self._last_numbers: dict[str, int] = {}

    def register(self, body: Body) -> Answer | Refusal:
        """Register a job by its name."""
        job_id = body["job_id"]
        job = self.jobs.get(job_id)
        if job is None:
            specification = specification_of(body)
            kind = Frugal if specification["policy"] == "frugal" else Job
            job = self.jobs[job_id] = kind(specification, self._last_numbers.get(job_id, 0))
            self.events.append(("register job", job_id))
            return Answer(201, job.specification)
        in_force = {name: value for name, value in job.registered.items() if name in NEW}
        if specification_of(in_force | body) == job.registered:
            return Answer(200, job.specification)
        return Refusal(409, "specification-conflict")

    def suggest(self, job_id: str) -> Dispatch | Refusal:
        """Dispatch a trial."""
        job = self.jobs.get(job_id)
        return Refusal(400, "unknown-job") if job is None else job.suggest()

    def begin(self, job_id: str, batch_size: int) -> Dispatch | Refusal:
        """Dispatch a trial at a batch size that its training has chosen."""
        job = self.jobs.get(job_id)
        return Refusal(404, "job-not-found") if job is None else job.begin(batch_size)

    def report(self, body: Body) -> Answer | Refusal:
        """Take a report."""
        job = self.jobs.get(body["job_id"])
        if job is None:
            return Refusal(400, "unknown-job")
        trial = job.find(body)
        return Refusal(400, "unknown-trial") if trial is None else job.report(trial, body)

    def end(self, body: Body) -> Answer | Refusal:
        """End a trial; that a lease ran out is not for a training to say."""
        if body.get("reason") == EXPIRED:
            return Refusal(422, "invalid-request")
        job = self.jobs.get(body["job_id"])
        trial = None if job is None else job.find(body)
        if job is None or trial is None:
            return Refusal(404, "trial-not-found")
        job.fail(trial, body.get("reason"))
        return Answer(200, None)

    def beat(self, job_id: str, number: int) -> Answer | Refusal:
        """Take a heartbeat of a trial."""
        job = self.jobs.get(job_id)
        if job is None:
            return Refusal(404, "job-not-found")
        trial = job.trials.get(number)
        return Refusal(404, "trial-not-found") if trial is None else job.beat(trial)

    def reset(self, job_id: str) -> Answer | Refusal:
        """Start a job over."""
        job = self.jobs.get(job_id)
        if job is None:
            return Refusal(404, "job-not-found")
        job.start_over()
        self.events.append(("reset job", job_id))
        return Answer(200, {"job_id": job_id, "first_trial_number": job.last_number + 1})

    def change(self, job_id: str, terms: Body) -> Answer | Refusal:
        """Give a job other terms."""
        job = self.jobs.get(job_id)
        if job is None:
            return Refusal(404, "job-not-found")
        before = job.specification
        answer = job.change(terms)
        if job.specification != before:
            self.events.append(("change job", job_id))
        return answer

    def pause(self, job_id: str, *, is_paused: bool) -> Answer | Refusal:
        """Let a job explore nothing, or explore again."""
        job = self.jobs.get(job_id)
        if job is None:
            return Refusal(404, "job-not-found")
        if job.is_paused != is_paused:
            job.is_paused = is_paused
            self.events.append(("pause job" if is_paused else "resume job", job_id))
        return Answer(200, {"job_id": job_id, "is_paused": is_paused})

    def delete(self, job_id: str) -> Answer | Refusal:
        """Delete a job; only its highest trial number outlives it."""
        if job_id not in self.jobs:
            return Refusal(404, "job-not-found")
        self._last_numbers[job_id] = self.jobs.pop(job_id).last_number
        self.events.append(("delete job", job_id))
        return Answer(200, None)


def specification_of(body: Body) -> Body:
    """Return the specification that a body states: all its members, batch sizes ascending."""
    known = {name: value for name, value in body.items() if name in {*DEFAULTS, *REQUIRED, "job_id"}}
    return DEFAULTS | known | {"batch_sizes": sorted(body["batch_sizes"])}
