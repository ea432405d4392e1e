"""The database of a Zeus server, as a page of the documentation expects one in its folder."""

import sqlite3
from contextlib import closing
from pathlib import Path

from service.store import revision
from service.store.sqlite import writing_engine

ROWS = """
DROP TABLE batchbandit_version;
INSERT INTO Job VALUES ('{job}', '{job}', 128, 1, 0.5, 2.0, 0.75, 90, 2, 0, 300.0, 1, 'V100', 0.0, 0.0, 2,
    NULL, NULL, 128, 'Pruning', 250000.0, 128);
INSERT INTO BatchSize VALUES ('{job}', 64), ('{job}', 128);
INSERT INTO Trial VALUES
    ('{job}', 128, 1, '2026-03-01 02:00:00', 'Exploration', 'Succeeded', '2026-03-01 02:16:40', 1000.0,
        200000.0, 1),
    ('{job}', 64, 2, '2026-03-02 02:00:00', 'Exploration', 'Dispatched', NULL, NULL, NULL, NULL);
"""


def write_reference(file: Path, job_id: str) -> None:
    """Write the database of a server of the reference that has one job, in its pruning stage."""
    engine = writing_engine(file)
    with engine.begin() as connection:
        revision.upgrade(connection, revision.REFERENCE_REVISION)
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(ROWS.format(job=job_id))
