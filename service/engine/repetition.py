"""Calls that are carried out once, however often they are asked: what was answered first is given again."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec
from msgspec import Struct

from core.records import Trial, Verdict
from service import errors
from service.engine.commands import Once, Registered
from service.errors import Flaw, InvalidRequest, KeyReused, ServiceError
from service.store.answer import Answer

UNANSWERED = object()


class Refused(Struct, frozen=True):
    """A refusal as it is kept."""

    problem: str
    sentence: str
    flaws: tuple[Flaw, ...] = ()


_KINDS: Mapping[str, type[Struct]] = {kind.__name__: kind for kind in (Trial, Registered, Verdict, Refused)}


class Repetitions:
    """What one transaction knows of calls that came with a key: first answers, found and given."""

    def __init__(self, answers: Iterable[Answer], expired_before: datetime) -> None:
        answers = list(answers)
        self.expired = {each.key for each in answers if each.created_timestamp <= expired_before}
        self._known = {(each.key, each.place): each for each in answers if each.key not in self.expired}
        self._fingerprints = {each.key: each.fingerprint for each in self._known.values()}
        self.given: list[Answer] = []

    def claim(self, once: Once) -> None:
        """Let a key stand for what it came with first."""
        self._fingerprints.setdefault(once.key, once.fingerprint)

    def first_answer(self, once: Once) -> object:
        """Return the first outcome of a command, ``UNANSWERED`` where there is none yet."""
        if self._fingerprints[once.key] != once.fingerprint:
            return KeyReused(
                "This Idempotency-Key came with another request before; make a new one for each request."
            )
        known = self._known.get((once.key, once.place))
        return UNANSWERED if known is None else decode(known.outcome)

    def keep(self, once: Once, outcome: object, now: datetime) -> None:
        """Keep the outcome of a command for when it is asked again; a refusal only within a call of many."""
        if isinstance(outcome, Exception) and not (once.keeps_refusals and isinstance(outcome, ServiceError)):
            return
        answer = Answer(once.key, once.place, once.fingerprint, now, encode(outcome))
        self._known[once.key, once.place] = answer
        self.given.append(answer)


def encode(outcome: object) -> bytes:
    """Return an outcome as it is kept."""
    if isinstance(outcome, ServiceError):
        flaws = outcome.flaws if isinstance(outcome, InvalidRequest) else ()
        outcome = Refused(outcome.problem, str(outcome), flaws)
    return msgspec.json.encode((type(outcome).__name__, outcome))


def decode(kept: bytes) -> object:
    """Return the outcome that was kept."""
    name, content = msgspec.json.decode(kept, type=tuple[str, msgspec.Raw])
    outcome = msgspec.json.decode(content, type=_KINDS[name])
    if not isinstance(outcome, Refused):
        return outcome
    if outcome.flaws:
        return InvalidRequest(*outcome.flaws)
    return errors.by_problem()[outcome.problem](outcome.sentence)
