"""What policies keep with jobs and trials, where a job begins, its drifts, how many epochs trials took."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    for column in (
        sa.Column("knowledge", sa.Text),
        sa.Column("warm_start_from", sa.VARCHAR(400)),
        sa.Column("num_drifts", sa.Integer, nullable=False, server_default="0"),
    ):
        op.add_column("Job", column)
    op.add_column("Trial", sa.Column("curve", sa.Text))
    op.add_column("Trial", sa.Column("epochs", sa.Integer))
    op.add_column("Trial", sa.Column("drifted_from", sa.Float))
    op.create_index("ix_Job_job_id_prefix", "Job", ["job_id_prefix"])
