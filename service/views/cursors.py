"""Where a page ends, as the text that asks for the next one; its form is this service's own affair."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from service.errors import Flaw, InvalidRequest

T = TypeVar("T")

FOREIGN = "Expected the next of a page in the same order as this one, or no cursor for the first page"


def cursor_of(place: Struct) -> str:
    """Return the cursor of a place."""
    return urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(cursor: str, kind: type[T]) -> T:
    """Return the place that a cursor is of.

    Raises:
        InvalidRequest: It is none of this kind.
    """
    try:
        return msgspec.json.decode(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)), type=kind)
    except (ValueError, RecursionError):  # nested deeply, where nothing is to be nested
        raise foreign() from None


def foreign() -> InvalidRequest:
    """Return the refusal of a cursor that is not of the pages that are asked for."""
    return InvalidRequest(Flaw(("query", "cursor"), FOREIGN, "value_error.cursor"))


def converted(key: object, kind: Any) -> Any:  # noqa: ANN401  (what kind says)
    """Return a part of a cursor as what it has to be.

    Raises:
        InvalidRequest: It is something else.
    """
    try:
        return msgspec.convert(key, kind)
    except msgspec.ValidationError:
        raise foreign() from None
