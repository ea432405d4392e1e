"""Sending requests whose answers are known, and holding the answers and the tables against what is known."""

import itertools
import json
from typing import Any, ClassVar

import httpx

from tests.fuzz.counts import Counts
from tests.fuzz.protocol import Answer, Body, Dispatch, Protocol, Refusal
from tests.service.tables import Tables

TRIALS = (
    'SELECT trial_number, batch_size, type, status, time, energy, converged FROM "Trial" '
    "WHERE job_id = :job_id ORDER BY trial_number"
)
JOB = 'SELECT stage, min_cost, min_cost_batch_size, last_trial_number FROM "Job" WHERE job_id = :job_id'
ARMS = (
    'SELECT batch_size, num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id ORDER BY batch_size'
)

_serials = itertools.count()


class Talker:
    """Talks to one server and knows what it must answer."""

    http: ClassVar[httpx.Client]
    tables: ClassVar[Tables]
    counts: ClassVar[Counts]

    def __init__(self) -> None:
        super().__init__()
        self.protocol = Protocol()
        self._serial = next(_serials)

    def job(self, letter: str) -> str:
        """Return the name of a job of this sequence, which no earlier one had."""
        return f"job-{letter}-{self._serial}"

    def finish(self) -> None:
        """Compare the tables with the model, and leave none of them filled."""
        for name, job in self.protocol.jobs.items():
            trials = [
                (t.number, t.batch_size, t.kind, t.status, t.time, t.energy, t.converged)
                for t in job.trials.values()
            ]
            assert self.rows(TRIALS, name) == trials, (self.rows(TRIALS, name), trials)
            stage = "MAB" if job.walk is None else "Pruning"
            assert self.rows(JOB, name) == [(stage, job.min_cost, job.cheapest, job.last_number)]
            assert self.rows(ARMS, name) == sorted(job.arms.items())
        for name in list(self.protocol.jobs):
            self.expect(self.protocol.delete(name), "DELETE", f"/jobs?job_id={name}")
        assert {name for name, rows in self.tables.contents().items() if rows} <= {"DeletedJob"}

    def rows(self, query: str, job_id: str) -> list[tuple[Any, ...]]:
        """Return what the database has of a job."""
        return self.tables.rows(query, job_id=job_id)

    def dispatch(self, name: str) -> Body | None:
        """Ask for a trial; return its name, None where there is none."""
        wanted = self.protocol.suggest(name)
        path = f"/jobs/batch_size?job_id={name}"
        if isinstance(wanted, Refusal):
            self.expect(wanted, "GET", path)
            return None
        return self.taken(wanted, self.ask(200, "GET", path).json())

    def taken(self, wanted: Dispatch, answer: Body) -> Body:
        """Check the name of a new trial; let the model have what was chosen."""
        batch_size = answer["batch_size"]
        assert batch_size in wanted.batch_sizes, (answer, wanted)
        wanted.trial.batch_size = batch_size
        expected = {"job_id": wanted.job_id, "batch_size": batch_size, "trial_number": wanted.trial.number}
        assert answer == expected, (answer, expected)
        return answer

    def expect(
        self,
        wanted: Answer | Refusal,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Send a request and check its answer."""
        check(wanted, self.ask(wanted.status, method, path, body, headers).json())

    def bulk(self, path: str, body: Body, name: str, wanted: list[Any]) -> list[Any]:
        """Send many items and check those that are refused; return the outcomes."""
        outcomes: list[Any] = self.ask(
            200, "POST", path, body, writes=not all(isinstance(w, Refusal) for w in wanted)
        ).json()[name]
        for expected, outcome in zip(wanted, outcomes, strict=True):
            if isinstance(expected, Refusal):
                check(expected, outcome)
        return outcomes

    def ask(
        self,
        status: int,
        method: str,
        path: str,
        body: object = None,
        headers: dict[str, str] | None = None,
        *,
        writes: bool = True,
    ) -> httpx.Response:
        """Send a request; where it is refused, nothing is written."""
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        is_refused = status >= httpx.codes.BAD_REQUEST or not writes
        before = self.tables.contents() if is_refused else None
        answer = self.http.request(method, path, content=content, headers=headers)
        self.counts.note(answer.status_code)
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        kind = "application/problem+json" if status >= httpx.codes.BAD_REQUEST else "application/json"
        assert answer.headers["content-type"] == kind
        if is_refused:
            assert self.tables.contents() == before, "a refused request writes nothing"
        return answer


def check(wanted: Answer | Refusal, told: Any) -> None:  # noqa: ANN401  (any JSON)
    """Compare the body of an answer, or of an item of one, with what it must be."""
    match wanted:
        case Refusal():
            assert (told["status"], told["type"]) == (wanted.status, f"urn:batchbandit:problem:{wanted.kind}")
            assert told["message"]
        case Answer(body=None):
            assert told is None
        case Answer():
            message = told.pop("message") if wanted.phrase else ""
            assert wanted.phrase in message, message
            assert told == wanted.body, (told, wanted)
