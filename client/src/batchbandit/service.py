"""The calls of a service, each repeated until it is answered or patience ends."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from batchbandit.errors import Refused, Unreachable
from batchbandit.transport import Answer, Transport
from batchbandit.verdicts import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from batchbandit.addresses import Address

PATIENCE_SECONDS = 10.0
"""How long a call is repeated before the service is taken to be away."""
ATTEMPT_SECONDS = 10.0
"""How long one attempt may wait for an answer."""
LEAST_ATTEMPT_SECONDS = 0.5
"""The time that the last attempt gets, even where patience ends before."""
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
OK = 200
REDIRECTS = 300
REFUSALS = 400
COME_AGAIN = frozenset((408, 425, 429))
FAILURES = 500
PROBLEM = "urn:batchbandit:problem:"
NO_SUCH_CALL = f"{PROBLEM}not-found"
"""What the type of each of the service's own refusals begins with."""
STRANGER = "that is no batchbandit service"

_random = secrets.SystemRandom()  # the global generator is the training's, which may have seeded it


class TrialName(NamedTuple):
    """What tells a trial."""

    job_id: str
    batch_size: int
    trial_number: int


class Service:
    """A batchbandit service.

    Every call may be repeated without harm: by its ``Idempotency-Key``, or since saying it twice changes
    nothing. ``patience_seconds`` bounds the repeats of a call, its own ``patience_seconds`` where it
    has some.

    Raises of all calls:
        Unreachable: No answer in time.
        Refused: A 4xx answer.
    """

    def __init__(self, address: Address, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self.address = address
        self.patience_seconds = patience_seconds
        self._transport = Transport(address)

    def register(self, body: Mapping[str, Any], *, patience_seconds: float | None = None) -> dict[str, Any]:
        """Register a job, and return its whole specification."""
        return self._call("POST", "/jobs", body, patience_seconds=patience_seconds)

    def suggest(self, job_id: str, key: str, *, patience_seconds: float | None = None) -> TrialName:
        """Ask for a trial; the same ``key`` gives the same."""
        path = f"/jobs/batch_size?{urlencode({'job_id': job_id})}"
        return _name(self._call("GET", path, key=key, patience_seconds=patience_seconds))

    def begin(
        self, job_id: str, batch_size: int, key: str, *, patience_seconds: float | None = None
    ) -> TrialName:
        """Begin a trial of a batch size that nobody suggested; the same ``key`` gives the same."""
        body = {"batch_size": batch_size}
        path = f"{_path(job_id)}/trials"
        return _name(self._call("POST", path, body, key=key, patience_seconds=patience_seconds))

    def report(self, body: Mapping[str, Any], *, patience_seconds: float | None = None) -> Verdict:
        """Report an epoch of a trial."""
        answer = self._call("POST", "/report", body, patience_seconds=patience_seconds)
        return Verdict(
            stop_train=_member(answer, "stop_train", bool),
            converged=_member(answer, "converged", bool),
            message=_member(answer, "message", str),
        )

    def end(
        self, name: TrialName, reason: str | None = None, *, patience_seconds: float | None = None
    ) -> None:
        """End a trial, which has failed unless its result is known."""
        body = {**name._asdict(), **({} if reason is None else {"reason": reason})}
        self._call("PATCH", "/trials", body, patience_seconds=patience_seconds)

    def beat(self, name: TrialName, *, patience_seconds: float | None = None) -> float | None:
        """Renew a trial's lease, and return its seconds, None where it has none."""
        path = f"{_path(name.job_id)}/trials/{name.trial_number}/heartbeat"
        answer = self._call("PUT", path, patience_seconds=patience_seconds)
        seconds = answer.get("lease_seconds")
        return float(seconds) if isinstance(seconds, (int, float)) else None

    def ready(self, *, patience_seconds: float | None = None) -> None:
        """Find that the service can serve."""
        self._call("GET", "/readyz", patience_seconds=patience_seconds)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        patience_seconds: float | None,
    ) -> dict[str, Any]:
        key = key or new_key()  # repeats of one call are one call
        patience = self.patience_seconds if patience_seconds is None else patience_seconds
        end = time.monotonic() + patience
        pause = FIRST_PAUSE_SECONDS
        is_certain = True
        while True:
            left = end - time.monotonic()
            timeout = min(max(left, LEAST_ATTEMPT_SECONDS), ATTEMPT_SECONDS)
            try:
                answer = self._transport.send(method, path, body, key=key, timeout_seconds=timeout)
                return _accepted(answer)
            except Unreachable as error:
                is_certain = is_certain and error.is_certain
                wait = max(_random.uniform(0, pause), error.retry_after)
                if time.monotonic() + wait > end:
                    sentence = f"{self.address.url} does not answer ({error})"
                    raise Unreachable(sentence, is_certain=is_certain) from error
            time.sleep(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def new_key() -> str:
    """Return a new ``Idempotency-Key``."""
    return secrets.token_hex(16)


def _path(job_id: str) -> str:
    return f"/api/v1/jobs/{quote(job_id, safe='')}"


def _accepted(answer: Answer) -> dict[str, Any]:
    """Return what was answered; what a proxy or another service says is no answer.

    Raises:
        Unreachable: It is none, or one that says to come again later.
        Refused: It is a refusal.
    """
    status, body = answer.status, answer.body
    if REDIRECTS <= status < REFUSALS:
        raise Refused(status, f"{status}: the address leads elsewhere; use that one")
    if body is None:
        raise Unreachable(f"{status}: {STRANGER}", retry_after=answer.retry_after)
    if OK <= status < REDIRECTS:
        return body
    sentence = f"{status}: {body.get('message', 'no reason given')}"
    if status in COME_AGAIN or status >= FAILURES:
        raise Unreachable(sentence, retry_after=answer.retry_after)
    problem = str(body.get("type"))
    if not problem.startswith(PROBLEM):
        raise Unreachable(f"{sentence}: {STRANGER}")
    if problem == NO_SUCH_CALL:
        raise Unreachable(f"{sentence}: the service is of an older release than the client")
    raise Refused(status, sentence)


def _name(body: Mapping[str, Any]) -> TrialName:
    return TrialName(
        _member(body, "job_id", str), _member(body, "batch_size", int), _member(body, "trial_number", int)
    )


def _member(body: Mapping[str, Any], name: str, kind: type[Any]) -> Any:  # noqa: ANN401 -- it is of that kind
    value = body.get(name)
    if type(value) is not kind:
        raise Unreachable(f"the answer has no {name}: {STRANGER}")
    return value
