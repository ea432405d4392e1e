"""Statements about tokens: a handful of rows, added and revoked and never deleted."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection

from service.credentials import Role, Token
from service.store import schema

USED_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a token was last used."""

_columns = schema.token.c
_all = sa.select(*(_columns[name] for name in Token.__struct_fields__)).order_by(
    _columns.created_timestamp, _columns.token_id
)
_active = _all.where(_columns.revoked_timestamp.is_(None))
_any = sa.select(_columns.token_id).limit(1)
_revoke = (
    sa.update(schema.token)
    .where(_columns.token_id == sa.bindparam("of_token"), _columns.revoked_timestamp.is_(None))
    .values(revoked_timestamp=sa.bindparam("now"))
)
_note_use = (
    sa.update(schema.token)
    .where(
        _columns.token_id == sa.bindparam("of_token"),
        sa.or_(
            _columns.last_used_timestamp.is_(None), _columns.last_used_timestamp <= sa.bindparam("before")
        ),
    )
    .values(last_used_timestamp=sa.bindparam("now"))
)


class Issued(Struct, frozen=True):
    """The tokens in force by id, and whether there never was any."""

    active: dict[str, Token]
    is_empty: bool


def issued(connection: Connection) -> Issued:
    """Load the tokens in force."""
    active = {token.token_id: token for token in _tokens(connection, _active)}
    return Issued(active, is_empty=not active and connection.execute(_any).first() is None)


def every(connection: Connection) -> list[Token]:
    """Load all tokens, revoked ones too, in the order in which they were made."""
    return _tokens(connection, _all)


def _tokens(connection: Connection, statement: sa.Executable) -> list[Token]:
    rows = connection.execute(statement).all()
    return [Token(token_id, digest, Role(role), *rest) for token_id, digest, role, *rest in rows]


def insert(connection: Connection, token: Token) -> None:
    """Add a token."""
    connection.execute(sa.insert(schema.token), asdict(token))


def revoke(connection: Connection, token_id: str, now: datetime) -> bool:
    """Revoke a token; tell whether there was such a one in force."""
    return connection.execute(_revoke, {"of_token": token_id, "now": now}).rowcount == 1


def note_use(connection: Connection, token_ids: Collection[str], now: datetime) -> None:
    """Keep that tokens are used, unless it was kept lately: there may be many replicas that say so."""
    uses = [{"of_token": token_id, "now": now, "before": now - USED_EVERY} for token_id in sorted(token_ids)]
    connection.execute(_note_use, uses)
