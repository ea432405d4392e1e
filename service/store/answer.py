"""First answers, as they are kept."""

from datetime import datetime

from msgspec import Struct


class Answer(Struct, frozen=True):
    """The first answer to a command of a call that came with a key; ``created_timestamp`` in UTC."""

    key: str
    place: int
    fingerprint: str
    created_timestamp: datetime
    outcome: bytes
