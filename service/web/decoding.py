"""Request bodies into wire structs, or a refusal that says what is wrong with them."""

import json
import math
import re
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import Request

from service.errors import BodyTooLarge, Flaw, InvalidRequest
from service.web.wire import Contradiction

T = TypeVar("T")

BODY_LIMIT = 1 << 20
# How much of a too large body is read and dropped, so that its sender reads the answer instead of a reset.
DRAIN_LIMIT = 16 * BODY_LIMIT

_JSON_TYPE = re.compile(r"^\s*(application/json|[\w.+-]+/[\w.-]*\+json)\s*(;|$)", re.ASCII | re.IGNORECASE)
_PLACE = re.compile(r"^(?P<sentence>.*?)(?: - at `(?:key in )?(?P<path>\$.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_STEP = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")


class Decoder(Generic[T]):
    """Decodes JSON bodies of one kind."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._fast = msgspec.json.Decoder(kind)

    async def read(self, request: Request) -> T:
        """Read and decode the body of a request.

        Raises:
            InvalidRequest: The body is not what this call takes.
            BodyTooLarge: It is past the limit.
        """
        check_type(request)
        return self.decode(await read_body(request))

    def decode(self, body: bytes) -> T:
        """Decode a body.

        Raises:
            InvalidRequest: The body is not what this call takes.
        """
        if body.isascii() or is_utf8(body):
            try:
                return self._fast.decode(body)
            except (msgspec.MsgspecError, RecursionError):
                pass  # it may yet be one with bare NaN or Infinity, which the fast decoder does not know
        return self._decode_slowly(body)

    def _decode_slowly(self, body: bytes) -> T:
        members = parse(body)
        flaw = find_flaw(members, ("body",))
        if flaw is not None:
            raise InvalidRequest(flaw)
        try:
            return msgspec.convert(members, self._kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(flaw_of(error, "body")) from error


def check_type(request: Request) -> None:
    """Refuse a body that says it is not JSON; the reference's client says nothing.

    Raises:
        InvalidRequest: The Content-Type is another one.
    """
    kind = request.headers.get("content-type")
    if kind is not None and not _JSON_TYPE.match(kind):
        raise InvalidRequest(
            Flaw(
                ("header", "content-type"), f"Expected application/json, got {kind[:100]}", "type_error.json"
            )
        )


async def read_body(request: Request) -> bytes:
    """Read a body of at most ``BODY_LIMIT`` bytes.

    Raises:
        BodyTooLarge: There is more.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= BODY_LIMIT:
            chunks.append(chunk)
        elif size > DRAIN_LIMIT:
            break
    if size > BODY_LIMIT:
        raise BodyTooLarge(f"The body is larger than {BODY_LIMIT} bytes; send a smaller one.")
    return b"".join(chunks)


def is_utf8(body: bytes) -> bool:
    """Tell whether a body is UTF-8 throughout; the fast decoder skips what it need not read."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def parse(body: bytes) -> Any:  # noqa: ANN401  (any JSON)
    """Parse JSON in which NaN and Infinity may stand.

    Raises:
        InvalidRequest: It is not JSON.
    """
    try:
        return json.loads(body.decode())
    except RecursionError:
        reason = "it is nested too deeply"
    except UnicodeDecodeError as error:
        reason = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} at character {error.pos}" if body else "it is empty"
    except ValueError:
        reason = "a number has too many digits"
    raise InvalidRequest(Flaw(("body",), f"Expected a JSON object, but {reason}", "value_error.jsondecode"))


def find_flaw(value: object, place: tuple[str | int, ...]) -> Flaw | None:
    """Find the first value that JSON text can carry and the service cannot take."""
    if isinstance(value, float) and not math.isfinite(value) and place != ("body", "metric"):
        return Flaw(place, "Expected a finite number", "value_error.number.not_finite")
    if isinstance(value, str) and not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return Flaw(place, "Expected text without lone surrogates", "value_error.str")
    members: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        members = list(enumerate(value))
    for name, member in members:
        flaw = find_flaw(member, (*place, name))
        if flaw is not None:
            return flaw
    return None


def flaw_of(error: msgspec.ValidationError, origin: str) -> Flaw:
    """Return what msgspec found wrong with a value, and where."""
    cause = error.__cause__
    if isinstance(cause, Contradiction):
        return Flaw((origin, cause.member), str(cause), "value_error")
    match = _PLACE.match(str(error))
    sentence, path = (match["sentence"], match["path"] or "") if match else (str(error), "")
    loc = [name or (int(index) if index.isdigit() else index) for name, index in _STEP.findall(path)]
    missing = _MISSING.search(sentence)
    if missing:
        return Flaw((origin, *loc, missing[1]), "Expected this required member", "value_error.missing")
    return Flaw((origin, *loc), sentence, "type_error" if ", got `" in sentence else "value_error")
