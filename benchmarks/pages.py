"""The section of what is looked at: each page of a large store, request by request, and its statements."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np
import sqlalchemy as sa
from msgspec import Struct, to_builtins
from sqlalchemy import event

from benchmarks.effort import Effort
from benchmarks.markdown import Table
from benchmarks.multitude import LONG, Multitude, write
from benchmarks.page import Page
from benchmarks.picture import bars, chart
from benchmarks.postgres import Postgres, create_database, running_postgres
from benchmarks.server import Server, ServerFailed, start, stop
from benchmarks.spread import Spread, spread
from benchmarks.wire import Connection, request
from service.exposure import Exposure
from service.store.databases import open_database
from service.store.opening import parsed
from service.store.postgres import run_once
from service.store.sqlite import writing_engine
from service.views.jobs import Sort
from service.web.app import create_app

TRIALS = 112
"""Of a job that does not prune: of ten thousand, so that there are a million."""
LEAST_REQUESTS = 5
LOCAL = Exposure(may_be_open=True, is_local=True)
SHOWN = ("jobs by name", "jobs by savings", "a job", "its trials", "a decision")
"""What the picture has."""


class Look(Struct, frozen=True):
    """How long a page takes, in milliseconds of each round, and by how many statements it is read at most."""

    store: str
    page: str
    p50: Spread
    p95: Spread
    statements: int


def size_of(effort: Effort) -> Multitude:
    """Return how large a store is looked at."""
    jobs, trials = effort.memory
    return Multitude(jobs, TRIALS, max(trials, TRIALS))


def requests_of(effort: Effort) -> int:
    """Return how often a page is asked for in a round."""
    return max(effort.pairs // 200, LEAST_REQUESTS)


def listed(**query: object) -> str:
    """Return the path of a page of jobs."""
    return f"/api/v1/jobs?{urlencode(query)}"


async def paths_of(size: Multitude, client: httpx.AsyncClient) -> dict[str, list[str]]:
    """Return the paths of each page that there is, taken in turn."""
    middle = {sort: await cursor_in(client, sort, size.jobs // 2) for sort in Sort}
    middle_of_long = await cursor_in(client, None, size.long_trials // 2)
    names = size.names()[:: max(size.jobs // 97, 1)]
    job, long = "/api/v1/jobs/{}".format, f"/api/v1/jobs/{LONG}"
    filters = {
        "stage": ("MAB", "Pruning"),
        "activity": ("running", "idle", "paused"),
        "trouble": ("stuck", "failing"),
        "policy": ("zeus",),
        "prefix": ("team-7-",),
    }
    pages = {
        "jobs by name": [listed()],
        "jobs by savings": [listed(sort="-savings")],
        **{f"jobs, sort={sort}": [listed(sort=sort)] for sort in Sort},
        **{f"jobs, sort={sort}, from the middle": [listed(sort=sort, cursor=middle[sort])] for sort in Sort},
        **{
            f"jobs, {name}={value}, sort=-savings": [listed(**{name: value}, sort="-savings")]
            for name, values in filters.items()
            for value in values
        },
        "500 jobs": [listed(limit=500)],
        "a job": [job(name) for name in names],
        "its trials": [f"{job(name)}/trials" for name in names],
        "a decision": [f"{job(name)}/trials/2/decision" for name in names],
        "the long job": [long],
        "its trials, from the middle": [f"{long}/trials?cursor={middle_of_long}"],
        **{
            f"its trials, {query}": [f"{long}/trials?{query}"]
            for query in ("status=Failed", "converged=false", "batch_size=64", "type=Exploration")
        },
        "the list for people": ["/", "/?sort=-savings"],
        "a job for people": [f"/job?id={name}" for name in names],
        "the long job for people": [f"/job?id={LONG}"],
    }
    return {name: paths for name, paths in pages.items() if (await client.get(paths[0])).is_success}


async def cursor_in(client: httpx.AsyncClient, sort: Sort | None, depth: int) -> str:
    """Return the cursor after so many jobs in an order, or after so many trials of the long job."""
    path, cursor = (f"/api/v1/jobs/{LONG}/trials", "") if sort is None else ("/api/v1/jobs", "")
    while depth > 0:
        query: dict[str, str | int] = {"limit": min(depth, 500), **({"cursor": cursor} if cursor else {})}
        query |= {} if sort is None else {"sort": sort.value}
        answer = await client.get(path, params=query)
        cursor = answer.raise_for_status().json()["next"]
        depth -= 500
    return cursor


async def statements_of(client: httpx.AsyncClient, pages: Mapping[str, list[str]]) -> dict[str, int]:
    """Return by how many statements each page is read, the beginning of a transaction and tokens left out."""
    seen: list[str] = []

    def see(*arguments: Any) -> None:  # noqa: ANN401  (SQLAlchemy's own)
        statement = arguments[2]
        if not statement.startswith("BEGIN") and '"Token"' not in statement:
            seen.append(statement)

    async def count(path: str) -> int:
        seen.clear()
        (await client.get(path)).raise_for_status()
        return len(seen)

    event.listen(sa.Engine, "before_cursor_execute", see)
    try:
        return {name: max([await count(path) for path in paths]) for name, paths in pages.items()}
    finally:
        event.remove(sa.Engine, "before_cursor_execute", see)


@asynccontextmanager
async def within(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Answer requests in this process, where statements can be counted."""
    database = await asyncio.to_thread(open_database, url)
    app = create_app(database, LOCAL, queue_limit=100, key_seconds=60, event_seconds=86400, listener_limit=10)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        yield client


async def looked_at(url: str, size: Multitude) -> tuple[dict[str, list[str]], dict[str, int]]:
    """Return the paths of each page, and by how many statements it is read."""
    async with within(url) as client:
        pages = await paths_of(size, client)
        return pages, await statements_of(client, pages)


async def timed(server: Server, pages: Mapping[str, list[str]], requests: int) -> dict[str, list[float]]:
    """Ask for each page so many times, on one connection; return the milliseconds."""
    url = urlsplit(server.url)
    found: dict[str, list[float]] = {}
    with closing(await Connection.open(url)) as connection:
        for name, paths in pages.items():
            seconds = found[name] = []
            for number in range(requests):
                asked = request("GET", paths[number % len(paths)], url.netloc)
                began = time.perf_counter()
                answer = await connection.exchange(asked)
                seconds.append(1000 * (time.perf_counter() - began))
                if not answer.succeeded:
                    raise ServerFailed(answer.body.decode())
    return found


def filled(postgres: Postgres | None, folder: Path, size: Multitude) -> str:
    """Return the URL of a large store."""
    if postgres is not None:
        url = create_database(postgres, "pages")
        run_once(parsed(url), partial(write, size=size))
        return url
    file = folder / "batchbandit.db"
    engine = writing_engine(file)
    with engine.begin() as connection:
        write(connection, size)
    engine.dispose()
    return f"sqlite+aiosqlite:///{file}"


def measure(effort: Effort, postgres: Postgres | None) -> list[Look]:
    """Measure all pages on a store."""
    requests = requests_of(effort)
    size = size_of(effort)
    with TemporaryDirectory(prefix="batchbandit-") as name:
        folder = Path(name)
        url = filled(postgres, folder, size)
        pages, statements = asyncio.run(looked_at(url, size))
        server = start(folder, url)
        try:
            rounds = [asyncio.run(timed(server, pages, requests)) for _ in range(effort.rounds)]
        finally:
            stop(server)
    store = "SQLite" if postgres is None else "Postgres"
    return [
        Look(
            store,
            page,
            spread(np.percentile(one[page], 50) for one in rounds),
            spread(np.percentile(one[page], 95) for one in rounds),
            statements[page],
        )
        for page in pages
    ]


def page(effort: Effort) -> Page:
    """Measure, and return the section."""
    with running_postgres() as postgres:
        looks = [look for store in (None, postgres) for look in measure(effort, store)]
    rows = [
        (look.page, look.store, look.p50.shown(1), look.p95.shown(1), str(look.statements)) for look in looks
    ]
    figure, [axes] = chart("p95 of pages", "ms")
    series = {
        store: [look.p95 for name, look in product(SHOWN, looks) if (look.page, look.store) == (name, store)]
        for store in dict.fromkeys(look.store for look in looks)
    }
    bars(axes, SHOWN, series)
    size = size_of(effort)
    data: Any = to_builtins(looks)
    return Page(
        title="Pages",
        note=(
            f"A store of {size.jobs:,} jobs with up to {size.trials} trials each, and one job of "
            f"{size.long_trials:,}; pages of 50 where nothing else is said. One connection asks "
            f"{requests_of(effort)} times a round for each. Statements are the most that one answer took."
        ),
        tables=[Table(("page", "store", "p50, ms", "p95, ms", "statements"), rows)],
        pictures={"pages": figure},
        data=data,
    )
