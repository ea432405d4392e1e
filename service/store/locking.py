"""Locks that Postgres holds for a transaction; SQLite, whose transactions lock the file, needs none."""

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import ARRAY

MIGRATION = 0x62617463_68626E64
"""The advisory lock of whoever creates or changes the tables."""

_names = (
    sa.func.unnest(sa.bindparam("names", type_=ARRAY(sa.Text)))
    .table_valued("name", name="names")
    .render_derived()
)
_ordered = sa.select(_names.c.name).order_by(_names.c.name).subquery()
_claim = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(_ordered.c.name, 0)))


def is_shared(connection: Connection) -> bool:
    """Tell whether several processes may write to this kind of database at a time."""
    return connection.dialect.name == "postgresql"


def claim_names(connection: Connection, job_ids: Collection[str]) -> None:
    """Let nobody else register jobs of these names: there may be no rows yet that could be locked.

    To be called before rows are locked, so that no two transactions wait for each other.
    """
    if is_shared(connection):
        connection.execute(_claim, {"names": list(job_ids)}).all()


def claim_migration(connection: Connection) -> None:
    """Wait until nobody else creates or changes the tables, and let nobody else."""
    if is_shared(connection):
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION))).all()


def claim_tables(connection: Connection, tables: Iterable[str]) -> None:
    """Keep everybody else from tables, a server that knows no advisory lock among them."""
    if is_shared(connection):
        names = ", ".join(f'"{table}"' for table in tables)
        connection.exec_driver_sql(f"LOCK TABLE {names} IN ACCESS EXCLUSIVE MODE")


def is_migrating(connection: Connection) -> bool:
    """Tell whether somebody creates or changes the tables."""
    if not is_shared(connection):
        return False
    return not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock_shared(MIGRATION)))
