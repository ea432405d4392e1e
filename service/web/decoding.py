"""Request bodies into wire structs, or a refusal that says what is wrong with them."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect, Request

from service.errors import Flaw, InvalidRequest
from service.web.wire import Contradiction, JobId, Positive

T = TypeVar("T")

# A body of so many values, ten times what the largest that is valid has, would hold the event loop up.
MOST_VALUES = 50_000
# Bodies are flat; what is nested deeper than this is nobody's.
DEEPEST = 64
# How much of a place is told to a client that made it up.
LONGEST_NAME = 100
LONGEST_PLACE = 10

_JSON_TYPE = re.compile(r"^\s*application/([\w.+-]+\+)?json\s*(;|$)", re.ASCII | re.IGNORECASE)
# What may be an infinite number, which the fast decoder passes over where it stands in an unknown member.
# Looking back from its first byte, a search is quick over what begins no match, and goes over digits once.
_LARGE_EXPONENT = re.compile(rb"[eE](?<=\d[eE])\+?\d{3}")
_MANY_DIGITS = re.compile(rb"\d(?<!\d\d)\d{299}")
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
        """
        check_type(request)
        return self.decode(await read_body(request))

    def decode(self, body: bytes) -> T:
        """Decode a body.

        Raises:
            InvalidRequest: The body is not what this call takes.
        """
        found = self.decode_fast(body)
        return self.convert(parse(body)) if found is None else found

    def decode_fast(self, body: bytes) -> T | None:
        """Decode a body; None where it is not what this call takes, or has bare NaN or Infinity."""
        if is_utf8(body) and not _LARGE_EXPONENT.search(body) and not _MANY_DIGITS.search(body):
            try:
                return self._fast.decode(body)
            except (msgspec.MsgspecError, RecursionError):
                pass
        return None

    def convert(self, members: object) -> T:
        """Make of parsed JSON what this call takes.

        Raises:
            InvalidRequest: It is something else.
        """
        flaw = find_flaw(members)
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
    if kind and not _JSON_TYPE.match(kind):
        raise InvalidRequest(
            Flaw(
                ("header", "content-type"), f"Expected application/json, got {kind[:100]}", "type_error.json"
            )
        )


async def read_body(request: Request) -> bytes:
    """Return the body of a request; the connection has held it to its limit."""
    body = b""
    is_more = True
    while is_more:
        message = await request.receive()  # Request.stream() would make a generator of it
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
    return body


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
        InvalidRequest: It is not JSON, or too much of it.
    """
    # Each value but the first in a text begins one of these; those inside of strings are few.
    if sum(map(body.count, (b"[", b"{", b","))) > MOST_VALUES:
        sentence = f"Expected at most {MOST_VALUES} values, commas and brackets in texts included"
        raise InvalidRequest(Flaw(("body",), sentence, "value_error"))
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


def find_flaw(body: object) -> Flaw | None:
    """Find what JSON text can carry and the service cannot take: in values, in names, in nesting."""
    # Containers alone become nodes, and a place is spelt out only for the flaw that is found.
    waiting = [Node(None, "body", body, 0)]
    while waiting:
        node = waiting.pop()
        if node.depth > DEEPEST:
            return Flaw(node.place(), "Expected a flat object, but it is nested too deeply", "value_error")
        for name, member in members_of(node.value):
            if isinstance(name, str) and not is_text(name):
                return Flaw(node.place(), "Expected names without lone surrogates", "value_error.str")
            if isinstance(member, float) and not math.isfinite(member):
                if (node.depth, name) != (0, "metric"):
                    place = Node(node, name, member, 0).place()
                    return Flaw(place, "Expected a finite number", "value_error.number.not_finite")
            elif isinstance(member, str) and not is_text(member):
                place = Node(node, name, member, 0).place()
                return Flaw(place, "Expected text without lone surrogates", "value_error.str")
            elif isinstance(member, dict | list) and member:
                waiting.append(Node(node, name, member, node.depth + 1))
    return None


def members_of(value: object) -> Iterable[tuple[str | int, object]]:
    """Return what stands in a JSON object or array, by name or index; nothing where it is neither."""
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()


class Node(NamedTuple):
    """Something in a body, and where it stands."""

    parent: "Node | None"
    name: str | int
    value: object
    depth: int

    def place(self) -> tuple[str | int, ...]:
        """Return the names from the body down to here, cut where they are long."""
        names: list[str | int] = []
        node: Node | None = self
        while node is not None:
            names.append(node.name if isinstance(node.name, int) else node.name[:LONGEST_NAME])
            node = node.parent
        return tuple(reversed(names))[:LONGEST_PLACE]


def is_text(value: str) -> bool:
    """Tell whether a string is Unicode text, which can be kept; JSON escapes can spell others."""
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def flaw_of(error: msgspec.ValidationError, origin: str) -> Flaw:
    """Return what msgspec found wrong with a value, and where."""
    cause = error.__cause__
    if isinstance(cause, Contradiction):
        return Flaw((origin, cause.member), str(cause), "value_error")
    match = _PLACE.match(str(error))
    sentence, path = (match["sentence"], match["path"] or "") if match else (str(error), "")
    loc = [name or (int(index) if index.isdigit() else index) for name, index in _STEP.findall(path)]
    if "matching regex" in sentence:
        sentence = "Expected text without NUL characters"
    missing = _MISSING.search(sentence)
    if missing:
        return Flaw((origin, *loc, missing[1]), "Expected this required member", "value_error.missing")
    return Flaw((origin, *loc), sentence, "type_error" if ", got `" in sentence else "value_error")


def job_id_of(request: Request) -> str:
    """Return the job that a query names.

    Raises:
        InvalidRequest: It names none, or by no possible name.
    """
    query = request.scope["query_string"].decode("latin-1")
    job_id = dict(parse_qsl(query, keep_blank_values=True)).get("job_id")
    if job_id is None:
        raise InvalidRequest(
            Flaw(("query", "job_id"), "Expected this required parameter", "value_error.missing")
        )
    found: str = named(job_id, JobId, "query", "job_id")
    return found


def job_of(request: Request) -> str:
    """Return the job that a path names.

    Raises:
        InvalidRequest: By no possible name.
    """
    job_id: str = named(request.path_params["job_id"], JobId, "path", "job_id")
    return job_id


def trial_of(request: Request) -> tuple[str, int]:
    """Return the job and the number of the trial that a path names.

    Raises:
        InvalidRequest: By no possible name or number.
    """
    number = named(request.path_params["trial_number"], Positive, "path", "trial_number", strict=False)
    return job_of(request), number


def named(value: str, kind: Any, *place: str, strict: bool = True) -> Any:  # noqa: ANN401  (what kind says)
    """Return what a text in a request names, of a kind.

    Raises:
        InvalidRequest: It names none.
    """
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        flaw = flaw_of(error, place[0])
        raise InvalidRequest(Flaw(place, flaw.msg, flaw.type)) from error
