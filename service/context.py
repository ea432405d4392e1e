"""The requests on whose behalf something is done: what log lines and spans say of them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from msgspec import Struct


class Asked(Struct, eq=False):
    """A request while it is answered: its job, once that is known, and its span, where it is traced."""

    request_id: str
    job_id: str | None = None
    span: Any = None


concerned: ContextVar[tuple[Asked, ...]] = ContextVar("concerned", default=())
"""The request that is being answered; in a transaction, those whose commands it carries out."""


def about(job_id: str) -> None:
    """Say which job the request that is being answered is about."""
    for asked in concerned.get():
        asked.job_id = job_id


@contextmanager
def on_behalf_of(requests: Iterable[Asked]) -> Iterator[None]:
    """Do what follows for several requests together."""
    token = concerned.set(tuple(requests))
    try:
        yield
    finally:
        concerned.reset(token)
