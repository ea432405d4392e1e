"""A job's own trial counter, kept beyond its deletion; a stream for every job; indexes; wider columns."""

import json

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":  # SQLite holds any length in these columns already
        for table in ("GaussianTsArmState", "Trial"):
            op.alter_column(table, "job_id", type_=sa.VARCHAR(400))
        op.alter_column("Job", "gpu_model", type_=sa.VARCHAR(300))
        op.alter_column("Job", "mab_seed", type_=sa.BigInteger)
    op.add_column("Job", sa.Column("last_trial_number", sa.Integer, nullable=False, server_default="0"))
    op.execute(
        'UPDATE "Job" SET last_trial_number = '
        '(SELECT coalesce(max(trial_number), 0) FROM "Trial" WHERE "Trial".job_id = "Job".job_id)'
    )
    op.create_table(
        "DeletedJob",
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("last_trial_number", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    explorations = sa.text("type = 'Exploration' AND status <> 'Failed'")
    op.create_index(
        "ix_Trial_explorations",
        "Trial",
        ["job_id", "trial_number"],
        sqlite_where=explorations,
        postgresql_where=explorations,
    )
    results = sa.text("status = 'Succeeded'")
    op.create_index(
        "ix_Trial_results",
        "Trial",
        ["job_id", "batch_size", "trial_number", "time", "energy"],
        sqlite_where=results,
        postgresql_where=results,
    )
    seed_streams()


def seed_streams() -> None:
    """Give every job without a stream one: from its seed, else from the operating system's entropy."""
    job = sa.table("Job", sa.column("job_id"), sa.column("mab_seed"), sa.column("mab_random_generator_state"))
    connection = op.get_bind()
    without = connection.execute(
        sa.select(job.c.job_id, job.c.mab_seed).where(job.c.mab_random_generator_state.is_(None))
    ).all()
    for job_id, seed in without:
        # A job whose seed can be none is refused once all of it is read.
        is_seed = isinstance(seed, int) and seed >= 0
        stream = json.dumps(np.random.default_rng(seed if is_seed else None).bit_generator.state)
        connection.execute(
            sa.update(job).where(job.c.job_id == job_id).values(mab_random_generator_state=stream)
        )
