"""All trials of a job as a file, which is sent while it is read."""

import asyncio
import re
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPMethod
from urllib.parse import quote

from msgspec import Struct
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.views.files import Format, TrialsFile, new_file
from service.views.known import known_job
from service.views.trials import lot_of
from service.web.answers import FOR_BROWSERS
from service.web.browse import reached_job
from service.web.query import QueryDecoder

LOT = 1000
"""Trials that are read at a time, each time as they are then."""
LONGEST_NAME = 100


class ExportAsked(Struct, frozen=True, kw_only=True):
    """The query of an export."""

    format: Format = Format.CSV


_asked = QueryDecoder(ExportAsked)


async def export(request: Request) -> Response:
    """Send the trials of a job, the oldest first."""
    job_id = reached_job(request)
    kind = _asked.read(request).format
    await request.app.state.database.read(partial(_see, job_id=job_id))
    file = await asyncio.to_thread(new_file, kind)
    headers = {
        "Content-Type": file.media_type,
        "Content-Disposition": disposition(f"{job_id}-trials", kind.value),
        **{name.decode(): value.decode() for name, value in FOR_BROWSERS},
    }
    if request.method == HTTPMethod.HEAD:
        head = Response(headers=headers)
        del head.headers["content-length"]  # of what is sent while it is read, nobody knows it
        return head
    return StreamingResponse(_parts(request, job_id, file), headers=headers)


def _see(connection: Connection, job_id: str) -> None:
    """See that there is a job.

    Raises:
        JobNotFound: There is none.
    """
    known_job(connection, job_id)


async def _parts(request: Request, job_id: str, file: TrialsFile) -> AsyncIterator[bytes]:
    """Read the trials, no more than the client takes: no transaction lasts longer than a lot."""
    yield file.begin()
    after = 0
    while True:
        lot = await request.app.state.database.read(partial(lot_of, job_id=job_id, after=after, limit=LOT))
        if not lot:
            break
        yield await asyncio.to_thread(file.lot, lot)
        after = lot[-1].trial_number
    yield await asyncio.to_thread(file.end)


def disposition(name: str, suffix: str) -> str:
    """Return what lets a client save a file under a name, which may have any characters.

    Source: RFC 6266, section 4, and RFC 8187 for what is not ASCII.
    """
    short = name[:LONGEST_NAME]
    plain = re.sub(r"[^\w.-]", "_", short, flags=re.ASCII).lstrip(".")
    whole = re.sub(r"[\x00-\x1f\x7f/\\:*?\"<>|]", "_", short).lstrip(".")
    return f"attachment; filename=\"{plain}.{suffix}\"; filename*=UTF-8''{quote(whole, safe='')}.{suffix}"
