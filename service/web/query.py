"""Queries into structs, or a refusal that says what may stand in one."""

from enum import Enum
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect
from starlette.requests import Request

from service.errors import Flaw, InvalidRequest
from service.web.decoding import LONGEST_NAME, flaw_of

T = TypeVar("T")


class QueryDecoder(Generic[T]):
    """Decodes queries of one kind, whose members are all that may stand in one."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        info = inspect.type_info(kind)
        self._words = {field.name: _words_of(field.type) for field in info.fields}  # type: ignore[attr-defined]

    def read(self, request: Request) -> T:
        """Decode the query of a request.

        Raises:
            InvalidRequest: It has what the call does not take.
        """
        pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
        members = dict(pairs)
        flaws = [self._unknown(name) for name in members if name not in self._words]
        if len(members) < len(pairs):
            flaws += [_doubled(name) for name in members if sum(name == other for other, _ in pairs) > 1]
        if flaws:
            raise InvalidRequest(*flaws[:LONGEST_NAME])
        try:
            return msgspec.convert(members, self._kind, strict=False)
        except msgspec.ValidationError as error:
            raise InvalidRequest(self._flaw(error)) from error

    def _unknown(self, name: str) -> Flaw:
        known = ", ".join(self._words)
        return Flaw(("query", name[:LONGEST_NAME]), f"Expected no other parameter than {known}", "value_error")

    def _flaw(self, error: msgspec.ValidationError) -> Flaw:
        flaw = flaw_of(error, "query")
        words = self._words.get(str(flaw.loc[-1]), ())
        return Flaw(flaw.loc, f"Expected one of {', '.join(words)}", "value_error.enum") if words else flaw


def _doubled(name: str) -> Flaw:
    return Flaw(("query", name[:LONGEST_NAME]), "Expected this parameter once", "value_error")


def _words_of(kind: Any) -> tuple[str, ...]:  # noqa: ANN401  (msgspec's own)
    """Return the words that a member may be, none where it may be others."""
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    for one in kinds:
        if isinstance(one, inspect.EnumType):
            members: type[Enum] = one.cls
            return tuple(str(member.value) for member in members)
        if isinstance(one, inspect.BoolType):
            return ("true", "false")
    return ()
