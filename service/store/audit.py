"""The record of who did what: rows that are added in the transaction of what they tell, and never changed."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from msgspec import Struct
from msgspec.structs import asdict
from sqlalchemy import Connection

from service.store import schema

COMMAND_LINE = "command line"
"""The actor where somebody at a machine with the database's password or file did it."""


class Action(StrEnum):
    """What is recorded."""

    REGISTER_JOB = "register job"
    RESET_JOB = "reset job"
    CHANGE_JOB = "change job"
    PAUSE_JOB = "pause job"
    RESUME_JOB = "resume job"
    DELETE_JOB = "delete job"
    IMPORT_JOB = "import job"
    CREATE_TOKEN = "create token"  # noqa: S105  (no password)
    REVOKE_TOKEN = "revoke token"  # noqa: S105  (no password)


class Event(Struct, frozen=True):
    """Who did what to which job or token, and when; ``actor`` is a token's id, or says why there is none."""

    timestamp: datetime
    actor: str
    action: Action
    subject: str


def record(connection: Connection, events: Collection[Event]) -> None:
    """Add events, in their order."""
    if events:
        connection.execute(sa.insert(schema.audit_event), [asdict(event) for event in events])
