"""Why a batch size was chosen, what was spent and saved, what happens; jobs that are changed or paused."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("Trial", sa.Column("rationale", sa.Text))
    for name, seldom in (
        ("ix_Trial_failed", sa.text("status = 'Failed'")),
        ("ix_Trial_missed", sa.text("NOT converged")),
    ):
        op.create_index(
            name,
            "Trial",
            ["job_id", "trial_number", "batch_size"],
            sqlite_where=seldom,
            postgresql_where=seldom,
        )
    for column in (
        sa.Column("policy", sa.VARCHAR(30), nullable=False, server_default="zeus"),
        sa.Column("is_paused", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("registered", sa.Text, nullable=False, server_default="{}"),
        sa.Column("num_converged", sa.Integer, nullable=False, server_default="0"),
        sa.Column("num_unconverged", sa.Integer, nullable=False, server_default="0"),
        sa.Column("num_failed", sa.Integer, nullable=False, server_default="0"),
        sa.Column("spent_time", sa.Float, nullable=False, server_default="0"),
        sa.Column("spent_energy", sa.Float, nullable=False, server_default="0"),
        sa.Column("num_default", sa.Integer, nullable=False, server_default="0"),
        sa.Column("default_time", sa.Float, nullable=False, server_default="0"),
        sa.Column("default_energy", sa.Float, nullable=False, server_default="0"),
        sa.Column("last_activity", sa.DateTime),
    ):
        op.add_column("Job", column)
    op.create_table(
        "Event",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("transaction_id", sa.BigInteger, nullable=False),
        sa.Column("timestamp", sa.DateTime, nullable=False),
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("kind", sa.VARCHAR(32), nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_index("ix_Event_order", "Event", ["transaction_id", "event_id"])
    count()


def count() -> None:
    """Count what every job has spent so far."""
    op.execute("""
        UPDATE "Job" SET (
            num_converged, num_unconverged, num_failed, spent_time, spent_energy,
            num_default, default_time, default_energy, last_activity
        ) = (
            SELECT
                count(CASE WHEN status = 'Succeeded' AND converged THEN 1 END),
                count(CASE WHEN status = 'Succeeded' AND NOT converged THEN 1 END),
                count(CASE WHEN status = 'Failed' THEN 1 END),
                coalesce(sum(CASE WHEN status = 'Succeeded' THEN "time" END), 0),
                coalesce(sum(CASE WHEN status = 'Succeeded' THEN energy END), 0),
                count(CASE WHEN converged AND batch_size = default_batch_size THEN 1 END),
                coalesce(sum(CASE WHEN converged AND batch_size = default_batch_size THEN "time" END), 0),
                coalesce(sum(CASE WHEN converged AND batch_size = default_batch_size THEN energy END), 0),
                max(coalesce(end_timestamp, start_timestamp))
            FROM "Trial" WHERE "Trial".job_id = "Job".job_id
        )
    """)
