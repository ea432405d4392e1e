"""Names for jobs that come without one."""

import secrets

from msgspec.structs import replace

from service.engine.commands import Register, Registered
from service.engine.commit import GroupCommit
from service.errors import JobIdTaken, Unavailable

# A second name is needed once in 2^32 / jobs registrations; that many in a row are somebody's doing.
MOST_NAMES = 10


async def register_unnamed(engine: GroupCommit, wanted: Register) -> Registered:
    """Register a job under a name that nobody has: its prefix and eight hexadecimal digits.

    Raises:
        Unavailable: No free name was found.
    """
    for _ in range(MOST_NAMES):
        job_id = f"{wanted.specification.job_id_prefix}-{secrets.token_hex(4)}"
        named = replace(wanted, specification=replace(wanted.specification, job_id=job_id))
        try:
            registered: Registered = await engine.submit(named)
        except JobIdTaken:
            continue
        return registered
    raise Unavailable("No free name was found for the job; send a job_id.")
