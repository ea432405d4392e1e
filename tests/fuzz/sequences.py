"""Random sequences of requests, held against the model of the protocol, on each kind of database.

python -m tests.fuzz.sequences --inputs 100000
"""

from contextlib import ExitStack

import click
import httpx

from benchmarks.postgres import create_database, running_postgres
from benchmarks.server import running_server
from tests.fuzz.counts import Counts
from tests.fuzz.machine import drive
from tests.service.tables import open_tables

ANSWER_LIMIT = 10
"""Seconds after which a request that has no answer hangs."""


@click.command(help=__doc__)
@click.option("--inputs", default=500, help="Requests to send on each kind of database, at least.")
@click.option("--postgres/--no-postgres", default=True, help="On Postgres too.")
def main(inputs: int, *, postgres: bool) -> None:
    """Drive servers of our own."""
    with ExitStack() as running:
        urls: dict[str, str | None] = {"SQLite": None}
        if postgres:
            urls["Postgres"] = create_database(running.enter_context(running_postgres()), "driven")
        for name, url in urls.items():
            counts = Counts(f"protocol machine on {name}")
            server = running.enter_context(running_server(url))
            client = running.enter_context(
                httpx.Client(base_url=server.url, timeout=ANSWER_LIMIT, trust_env=False)
            )
            opened = running.enter_context(open_tables(server.database_url))
            try:
                drive(client, opened, counts, inputs)
            except BaseException:
                counts.findings += 1
                raise
            finally:
                click.echo(counts.line())


if __name__ == "__main__":
    main()
