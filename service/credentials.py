"""Tokens: who may do what, and how a token is made and recognised.

A token reads ``bb_ID_SECRET``. Its secret has 256 bits of the operating system's entropy, which nobody can
guess however fast its hash is: a plain SHA-256 is kept, and none of the slow hashes that weak passwords need.
"""

import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Self

from msgspec import Struct

MARK = "bb"
ID_BYTES = 6
SECRET_BYTES = 32


class Role(StrEnum):
    """What a caller is: an admin may do all, an operator what trainers and readers may and more."""

    ADMIN = "admin"
    OPERATOR = "operator"
    TRAINER = "trainer"
    READER = "reader"

    def includes(self, needed: "Role") -> bool:
        """Tell whether a caller of this role may do what needs another one."""
        return needed in _INCLUDED[self]


_INCLUDED: Mapping[Role, frozenset[Role]] = {
    Role.ADMIN: frozenset(Role),
    Role.OPERATOR: frozenset({Role.OPERATOR, Role.TRAINER, Role.READER}),
    Role.TRAINER: frozenset({Role.TRAINER}),
    Role.READER: frozenset({Role.READER}),
}

CONFINABLE = (Role.TRAINER, Role.READER)
"""The roles whose tokens may be for the jobs of a prefix alone."""


class Token(Struct, frozen=True):
    """A token as it is kept: ``digest`` is the SHA-256 of its secret in hexadecimal digits.

    It reaches the jobs whose ``job_id`` starts with ``job_id_prefix``; the empty one begins every name.
    """

    token_id: str
    digest: str
    role: Role
    job_id_prefix: str
    created_timestamp: datetime
    last_used_timestamp: datetime | None = None
    revoked_timestamp: datetime | None = None

    @classmethod
    def make(cls, role: Role, job_id_prefix: str, now: datetime) -> tuple[Self, str]:
        """Return a new token, and the text that its holder gets and nobody keeps."""
        token_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        return cls(token_id, digest_of(secret), role, job_id_prefix, now), f"{MARK}_{token_id}_{secret}"


def digest_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return sha256(secret.encode()).hexdigest()


def recognise(text: str, tokens: Mapping[str, Token]) -> Token | None:
    """Return the one of these tokens, by id, that a text is; None where it is none of them."""
    mark, _, rest = text.partition("_")
    token_id, _, secret = rest.partition("_")
    token = tokens.get(token_id)
    if mark != MARK or token is None or not hmac.compare_digest(digest_of(secret), token.digest):
        return None
    return token
