"""How many jobs a database has."""

from collections import Counter

import sqlalchemy as sa
from sqlalchemy import Connection

from core.records import Stage
from service.store import schema


def jobs_by_stage(connection: Connection) -> Counter[Stage]:
    """Count the jobs of each stage."""
    stage = schema.job.c.stage
    counted = connection.execute(sa.select(stage, sa.func.count()).group_by(stage))
    return Counter(dict(counted.all()))
