"""Sending requests whose answers are known, and holding the answers and the tables against what is known."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple

import httpx

from core.policies.knowledge import read
from service.store import checking
from tests.fuzz.counts import Counts
from tests.fuzz.frugal import Frugal
from tests.fuzz.job import NO_TIME, WHOLE, Job
from tests.fuzz.looker import Looker
from tests.fuzz.outcomes import Answer, Body, Dispatch, Refusal, row_of
from tests.fuzz.protocol import Protocol
from tests.service.tables import Tables

TRIALS = (
    "SELECT trial_number, batch_size, type, status, time, energy, converged, failure_reason, is_late, "
    'energy_source, epochs FROM "Trial" WHERE job_id = :job_id ORDER BY trial_number'
)
JOB = (
    "SELECT stage, min_cost, min_cost_batch_size, last_trial_number, failures "
    'FROM "Job" WHERE job_id = :job_id'
)
ARMS = (
    'SELECT batch_size, num_observations FROM "GaussianTsArmState" WHERE job_id = :job_id ORDER BY batch_size'
)
KNOWLEDGE = 'SELECT knowledge FROM "Job" WHERE job_id = :job_id'
LAST_EVENT = 'SELECT coalesce(max(event_id), 0) FROM "AuditEvent"'
EVENTS = 'SELECT action, subject FROM "AuditEvent" WHERE event_id > :seen ORDER BY event_id'
LEFT = {"DeletedJob", "Answer", "Event"}
"""Tables in which something stays when all jobs are gone."""
SLACK = 0.01
"""How much longer than its term a lease may be granted."""
CLOCK = timedelta(seconds=1)
"""By how much two clocks may differ."""

Headers = dict[str, str] | list[tuple[bytes, bytes]]

_serials = itertools.count()


class Call(NamedTuple):
    """A call that came with a key, and how it was answered first."""

    request: tuple[str, str, object]
    status: int
    answer: bytes


class Talker:
    """Talks to one server and knows what it must answer."""

    http: ClassVar[httpx.Client]
    tables: ClassVar[Tables]
    counts: ClassVar[Counts]

    def __init__(self) -> None:
        super().__init__()
        self.protocol = Protocol()
        self.calls: dict[str, Call] = {}
        self._due: set[str] = set()
        self._serial = next(_serials)
        [(self._seen,)] = self.tables.rows(LAST_EVENT)

    def job(self, letter: str) -> str:
        """Return the name of a job of this sequence, which no earlier one had."""
        return f"job-{letter}-{self._serial}"

    def finish(self) -> None:
        """Compare the tables with the model and let the service check them; leave none of them filled."""
        for name in self._due & self.protocol.jobs.keys():
            self.dispatch(name)
        for name, job in self.protocol.jobs.items():
            trials = [row_of(trial) for trial in job.trials.values()]
            assert self.rows(TRIALS, name) == trials, (self.rows(TRIALS, name), trials)
            [(*state, failures)] = self.rows(JOB, name)
            stage = "MAB" if job.is_in_bandit else "Pruning"
            assert state == [stage, job.min_cost, job.cheapest, job.last_number]
            thirds = {int(size): thirds for size, (thirds, _) in json.loads(failures).items()}
            assert bounded(thirds, job) == bounded(job.thirds_failed, job), (thirds, job.thirds_failed)
            assert self.rows(ARMS, name) == sorted(job.arms.items())
            if isinstance(job, Frugal):
                [(knowledge,)] = self.rows(KNOWLEDGE, name)
                assert read(knowledge) == job.known, (knowledge, job.known)
            self.look_at(name, job)
        findings: list[object] = []
        checking.check(self.tables.database_url, findings.append)
        assert not findings, findings
        for name in list(self.protocol.jobs):
            self.expect(self.protocol.delete(name), "DELETE", f"/jobs?job_id={name}")
        assert {name for name, rows in self.tables.contents().items() if rows} <= LEFT
        assert self.tables.rows(EVENTS, seen=self._seen) == self.protocol.events

    def look_at(self, name: str, job: Job) -> None:
        """Hold what is shown of a job against the model."""
        looker = Looker(self.http)
        looker.look_at(name, job)
        for status in looker.statuses:
            self.counts.note(status)

    def rows(self, query: str, job_id: str) -> list[tuple[Any, ...]]:
        """Return what the database has of a job."""
        return self.tables.rows(query, job_id=job_id)

    def dispatch(self, name: str, key: str | None = None) -> Body | None:
        """Ask for a trial; return its name, None where there is no new one."""
        path = f"/jobs/batch_size?job_id={name}"
        if self.is_repeated(key, "GET", path):
            return None
        wanted = self.protocol.suggest(name)
        if isinstance(wanted, Refusal):
            self.expect(wanted, "GET", path, key=key)
            trial = None
        else:
            trial = self.taken(wanted, self.ask(200, "GET", path, key=key).json())
        self._due.discard(name)  # whoever asks finds all leases that have run out
        return trial

    def start(self, job_id: str, batch_size: int, key: str | None = None) -> Body | None:
        """Begin a trial at a batch size; return its name, None where there is no new one."""
        path, body = f"/api/v1/jobs/{job_id}/trials", {"batch_size": batch_size}
        if self.is_repeated(key, "POST", path, body):
            return None
        wanted = self.protocol.begin(job_id, batch_size)
        if isinstance(wanted, Refusal):
            self.expect(wanted, "POST", path, body, key=key)
            return None
        return self.taken(wanted, self.ask(201, "POST", path, body, key=key).json())

    def beat(self, job_id: str, number: int) -> None:
        """Send a heartbeat; of a job whose leases last no time the trial has failed by then."""
        path = f"/api/v1/jobs/{job_id}/trials/{number}/heartbeat"
        wanted = self.protocol.beat(job_id, number)
        if isinstance(wanted, Refusal):
            self.expect(wanted, "PUT", path)
            return
        before = datetime.now(UTC)
        told = self.ask(200, "PUT", path).json()
        expires = told.pop("lease_expires")
        check(wanted, told)
        seconds = told["lease_seconds"]
        if seconds is None:
            assert expires is None
            return
        if seconds == NO_TIME:
            self._due.add(job_id)
        term, end = timedelta(seconds=seconds), datetime.fromisoformat(expires)
        assert before + term - CLOCK <= end <= datetime.now(UTC) + term * (1 + SLACK) + CLOCK

    def is_repeated(self, key: str | None, method: str, path: str, body: object = None) -> bool:
        """Send a call whose key has come with an answer before; tell whether it is one.

        It is answered as it was first, or refused where another call had the key.
        """
        first = self.calls.get(key) if key is not None else None
        if first is None:
            return False
        if first.request == (method, path, body):
            answer = self.ask(first.status, method, path, body, key=key, writes=False)
            assert answer.content == first.answer
        else:
            self.expect(Refusal(422, "key-reused"), method, path, body, key=key)
        return True

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
        headers: Headers | None = None,
        key: str | None = None,
    ) -> None:
        """Send a request and check its answer."""
        check(wanted, self.ask(wanted.status, method, path, body, headers, key=key).json())

    def bulk(self, path: str, body: Body, name: str, wanted: list[Any], key: str | None = None) -> list[Any]:
        """Send many items and check those that are refused; return the outcomes."""
        is_refused = all(isinstance(outcome, Refusal) for outcome in wanted)
        outcomes: list[Any] = self.ask(
            200, "POST", path, body, key=key, writes=key is not None or not is_refused
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
        headers: Headers | None = None,
        *,
        key: str | None = None,
        writes: bool = True,
    ) -> httpx.Response:
        """Send a request; where it is refused, nothing is written."""
        if key is not None:
            headers = {"idempotency-key": f"{key}-{self._serial}"}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        is_refused = status >= httpx.codes.BAD_REQUEST or not writes
        before = self._contents() if is_refused else None
        answer = self.http.request(method, path, content=content, headers=headers)
        self.counts.note(answer.status_code)
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        kind = "application/problem+json" if status >= httpx.codes.BAD_REQUEST else "application/json"
        assert answer.headers["content-type"] == kind
        if is_refused:
            assert self._contents() == before, "a refused request writes nothing"
        elif key is not None:
            self.calls[key] = Call((method, path, body), status, answer.content)
        return answer

    def _contents(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return what is in the tables, but for jobs that the service may change when nobody asks."""
        return {
            name: [row for row in rows if self._due.isdisjoint(row)]
            for name, rows in self.tables.contents().items()
        }


def bounded(thirds_failed: dict[int, int], job: Job) -> dict[int, int]:
    """Return how often each batch size has failed, as far as it makes a difference."""
    limit = WHOLE * job.specification["max_failures"]
    return {size: min(thirds, limit) for size, thirds in thirds_failed.items()}


def check(wanted: Answer | Refusal, told: Any) -> None:  # noqa: ANN401  (any JSON)
    """Compare the body of an answer, or of an item of one, with what it must be."""
    match wanted:
        case Refusal():
            assert (told["status"], told["type"]) == (wanted.status, f"urn:batchbandit:problem:{wanted.kind}")
            assert told["message"]
            assert wanted.phrase in told["message"], told
        case Answer(body=None):
            assert told is None
        case Answer():
            message = told.pop("message") if wanted.phrase else ""
            assert wanted.phrase in message, message
            assert ("late: " in message) == wanted.is_late, message
            assert told == wanted.body, (told, wanted)
