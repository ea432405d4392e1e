"""Queries into structs, or a refusal that says what may stand in one."""

from types import NoneType
from typing import Any, Generic, TypeVar, Union, get_args
from urllib.parse import parse_qsl

import msgspec
from msgspec import inspect, structs
from starlette.requests import Request

from service.errors import Flaw, InvalidRequest
from service.web.decoding import LONGEST_NAME, flaw_of

T = TypeVar("T")


class QueryDecoder(Generic[T]):
    """Decodes queries of one kind of struct, whose members are all that may stand in one."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._kinds = {field.name: without_none(field.type) for field in structs.fields(kind)}  # type: ignore[arg-type]
        self._words = {name: _words_of(one) for name, one in self._kinds.items()}

    def read(self, request: Request) -> T:
        """Decode the query of a request.

        Raises:
            InvalidRequest: It has what the call does not take.
        """
        members: dict[str, Any] = {}
        for name, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
            if name not in self._kinds:
                sentence = (
                    f"Expected one of {', '.join(self._kinds)}" if self._kinds else "Expected no parameter"
                )
                raise InvalidRequest(Flaw(("query", name[:LONGEST_NAME]), sentence, "value_error.extra"))
            if name in members:
                raise InvalidRequest(Flaw(("query", name), "Expected this parameter once", "value_error"))
            members[name] = self._member(name, value)
        return self._kind(**members)

    def _member(self, name: str, value: str) -> Any:  # noqa: ANN401  (what the kind says)
        """Return what a parameter's text means.

        Raises:
            InvalidRequest: It is not what it may be.
        """
        words = self._words[name]
        if words and value not in words:
            raise InvalidRequest(
                Flaw(("query", name), f"Expected one of {', '.join(words)}", "value_error.enum")
            )
        try:
            return msgspec.convert(value, self._kinds[name], strict=False)
        except msgspec.ValidationError as error:
            flaw = flaw_of(error, "query")
            raise InvalidRequest(Flaw(("query", name), flaw.msg, flaw.type)) from error


def without_none(kind: Any) -> Any:  # noqa: ANN401  (any type)
    """Return a type without None, which no text means."""
    kinds = get_args(kind)
    return Union[tuple(one for one in kinds if one is not NoneType)] if NoneType in kinds else kind  # noqa: UP007


def _words_of(kind: Any) -> tuple[str, ...]:  # noqa: ANN401  (any type)
    """Return the words that a member may be, none where it may be others."""
    match inspect.type_info(kind):
        case inspect.EnumType(cls=words):
            return tuple(str(word.value) for word in words)
        case inspect.BoolType():
            return ("true", "false")
    return ()
