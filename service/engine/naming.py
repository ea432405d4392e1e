"""Names for jobs that come without one."""

import secrets
from collections.abc import Callable

from core.records import Specification
from service.engine.commands import Register, Registered
from service.engine.commit import GroupCommit
from service.errors import JobIdTaken, Unavailable

# A second name is needed once in 2^32 / jobs registrations; that many in a row are somebody's doing.
MOST_NAMES = 10


async def register_unnamed(
    engine: GroupCommit, specification: Callable[[str], Specification], prefix: str, seed: int, actor: str
) -> Registered:
    """Register a job under a name that nobody has: its prefix and eight hexadecimal digits.

    Raises:
        Unavailable: No free name was found.
    """
    for _ in range(MOST_NAMES):
        named = specification(f"{prefix}-{secrets.token_hex(4)}")
        try:
            registered: Registered = await engine.submit(Register(named, seed, is_named=False, actor=actor))
        except JobIdTaken:
            continue
        return registered
    raise Unavailable("No free name was found for the job; send a job_id.")
