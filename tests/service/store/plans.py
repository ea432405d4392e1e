"""Postgres' plans of statements."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection


def plan_of(
    connection: Connection, statement: str, parameters: Sequence[object], mode: str = "auto"
) -> Iterator[dict[str, Any]]:
    """Go through the nodes of Postgres' plan, made as it is for a prepared statement."""
    connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
    connection.exec_driver_sql(f"PREPARE asked AS {statement}")
    values = ", ".join(literal(value) for value in parameters)
    execute = f"EXECUTE asked ({values})" if values else "EXECUTE asked"
    [explained] = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {execute}").scalar()  # type: ignore[misc]
    connection.exec_driver_sql("DEALLOCATE asked")
    waiting = [explained["Plan"]]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += node.get("Plans", [])


def literal(value: object) -> str:
    """Return a parameter as it is written in SQL."""
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(literal, value))}]"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    return "NULL" if value is None else str(value) if isinstance(value, int | float) else f"'{value}'"
