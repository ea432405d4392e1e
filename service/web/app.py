"""The application, made from an open database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect

from service.dashboard import routes as pages
from service.dashboard.pages import Dashboard
from service.dashboard.refusals import refusal
from service.engine import admission, census, sweeper
from service.engine.admission import Admission
from service.engine.audience import Audience
from service.engine.census import Census
from service.engine.commit import GroupCommit
from service.engine.sharing import Shared
from service.engine.sweeper import sweeping
from service.errors import ServiceError
from service.exposure import Exposure
from service.tracing import Tracing
from service.web.observation import Observed
from service.web.origins import Guarded
from service.web.routes import routes


class Database(sweeper.Database, admission.Database, census.Database, Protocol):
    """What the web layer needs of a store."""

    async def close(self) -> None:
        """Let go of the database."""


def create_app(
    database: Database,
    exposure: Exposure,
    *,
    queue_limit: int,
    key_seconds: float,
    event_seconds: float,
    listener_limit: int,
    tracing: Tracing | None = None,
) -> Starlette:
    """Make the application that serves a database and closes it at its end.

    Args:
        database: Open, at this release's revision.
        exposure: Who reaches it, and by which names.
        queue_limit: Requests that may wait for the database; one more is answered 503.
        key_seconds: How long the first answer to a call with an ``Idempotency-Key`` is kept.
        event_seconds: How long it is kept what has happened.
        listener_limit: Listeners to what happens; one more is answered 503.
        tracing: What makes spans of what it does, None where nobody wants any.
    """

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            async with (
                Admission(database, queue_limit) as tokens,
                GroupCommit(database, queue_limit, key_seconds, tracing) as engine,
                sweeping(database, engine, key_seconds, event_seconds),
                Audience(database, tokens, listener_limit) as audience,
            ):
                app.state.admission = tokens
                app.state.engine = engine
                app.state.audience = audience
                app.state.readiness = Shared(database.check)
                app.state.census = Census(database)
                yield
                await app.state.readiness.ended()
                await app.state.census.ended()
        finally:
            await database.close()

    app = Starlette(
        routes=[*routes, *pages.routes],
        middleware=[
            Middleware(Observed, [*routes, *pages.routes], tracing),
            Middleware(Guarded, exposure, refusal),
        ],
        lifespan=lifespan,
        exception_handlers=dict.fromkeys((ServiceError, HTTPException, ClientDisconnect, Exception), refusal),
    )
    app.router.redirect_slashes = False
    app.state.is_draining = False
    app.state.exposure = exposure
    app.state.database = database
    app.state.dashboard = Dashboard()
    return app
