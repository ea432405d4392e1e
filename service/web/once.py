"""Calls that come with an ``Idempotency-Key``."""

import re
from hashlib import sha256

from starlette.requests import Request

from service.engine.commands import Once
from service.errors import Flaw, InvalidRequest

HEADER = b"idempotency-key"
_KEY = re.compile(rb"[\x21-\x7e]{1,255}", re.ASCII)


def once_of(request: Request, body: bytes = b"") -> Once | None:
    """Return what makes a call one that is carried out once, None where it has no key.

    Raises:
        InvalidRequest: The key is none.
    """
    # As they are: Starlette would go through all headers to make a mapping of them.
    keys = [value for name, value in request.scope["headers"] if name == HEADER]
    if not keys:
        return None
    if len(keys) > 1 or not _KEY.fullmatch(keys[0]):
        sentence = "Expected one key of 1 to 255 visible ASCII characters"
        raise InvalidRequest(Flaw(("header", "idempotency-key"), sentence, "value_error"))
    scope = request.scope
    asked = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], sha256(body).digest())
    key = sha256(request.user.actor.encode() + b"\0" + keys[0])  # nobody meets another's keys
    return Once(key.hexdigest(), sha256(b"\0".join(asked)).hexdigest())
