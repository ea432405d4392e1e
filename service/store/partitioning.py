"""The tables in hash partitions by job: what belongs to a job is in partitions of one number."""

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from service.errors import OpeningError
from service.store import locking, opening, revision, schema
from service.store.postgres import run_once
from service.store.revision import State

MOST_PARTITIONS = 64
"""Beyond them the locks of a few transactions would fill the table that a default server has for locks."""


def create(database_url: str, partitions: int) -> None:
    """Create the schema in an empty Postgres database, the tables of jobs in so many hash partitions each.

    Raises:
        OpeningError: It is no Postgres, or not empty.
    """
    url = opening.parsed(database_url)
    if url.get_backend_name() != "postgresql":
        raise OpeningError("only Postgres has partitions; leave --partitions out")

    def run(connection: Connection) -> None:
        locking.claim_migration(connection)
        ensure_empty(connection, url)
        metadata = partitioned()
        metadata.create_all(connection)
        for table in metadata.sorted_tables:
            if table.info.get("is_partitioned"):
                create_partitions(connection, table, partitions)
        revision.stamp_head(connection)

    run_once(url, run)


def ensure_empty(connection: Connection, url: URL) -> None:
    """See that a database has no tables yet.

    Raises:
        OpeningError: It has.
    """
    state = revision.state_of(connection)
    if state is not State.EMPTY:
        raise OpeningError(
            f"{opening.name_of(url)} {state.value}; partitions are made in an empty database: create one"
        )


def partitioned() -> sa.MetaData:
    """Return the schema with its tables of jobs partitioned."""
    metadata = sa.MetaData()
    for table in schema.metadata.sorted_tables:
        copy = table.to_metadata(metadata)
        if "job_id" in copy.primary_key.columns:
            copy.dialect_options["postgresql"]["partition_by"] = "HASH (job_id)"
            copy.info["is_partitioned"] = True
    return metadata


def create_partitions(connection: Connection, table: sa.Table, partitions: int) -> None:
    """Create the partitions of a table."""
    quote = connection.dialect.identifier_preparer.quote
    for remainder in range(partitions):
        name = quote(f"{table.name}_p{remainder}")
        connection.exec_driver_sql(
            f"CREATE TABLE {name} PARTITION OF {quote(table.name)} "
            f"FOR VALUES WITH (MODULUS {partitions}, REMAINDER {remainder})"
        )
