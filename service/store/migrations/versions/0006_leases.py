"""Leases of trials, failures of batch sizes, resets of jobs, answers to calls with a key."""

from datetime import datetime, timedelta

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

SILENT_HOURS = 24


def upgrade() -> None:
    op.add_column("Job", sa.Column("lease_seconds", sa.Float, server_default="600"))
    op.add_column("Job", sa.Column("max_failures", sa.Integer, nullable=False, server_default="3"))
    op.add_column("Job", sa.Column("failures", sa.Text, nullable=False, server_default="{}"))
    op.add_column("Job", sa.Column("next_expiry", sa.DateTime))
    op.add_column("Job", sa.Column("longest_gap", sa.Float, nullable=False, server_default="0"))
    op.add_column("Job", sa.Column("reset_number", sa.Integer, nullable=False, server_default="0"))
    op.add_column("Trial", sa.Column("lease_expires", sa.DateTime))
    op.add_column("Trial", sa.Column("last_report", sa.DateTime))
    op.add_column("Trial", sa.Column("has_heartbeat", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("Trial", sa.Column("failure_reason", sa.VARCHAR(100)))
    op.add_column("Trial", sa.Column("is_late", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "Answer",
        sa.Column("key", sa.VARCHAR(64), nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("fingerprint", sa.VARCHAR(64), nullable=False),
        sa.Column("created_timestamp", sa.DateTime, nullable=False),
        sa.Column("outcome", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("key", "place"),
    )
    grant_leases()
    op.create_index("ix_Answer_created_timestamp", "Answer", ["created_timestamp"])
    op.create_index("ix_Job_next_expiry", "Job", ["next_expiry"])
    create_partial_index(
        "ix_Trial_explored", ["job_id", "batch_size", "trial_number"], "type = 'Exploration'"
    )
    create_partial_index("ix_Trial_leases", ["job_id", "lease_expires"], "status = 'Dispatched'")


def create_partial_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "Trial", columns, sqlite_where=where, postgresql_where=where)


def now() -> datetime:
    """Return the time by the database's clock, UTC."""
    clock = {
        "sqlite": "SELECT strftime('%Y-%m-%dT%H:%M:%f', 'now')",
        "postgresql": "SELECT to_char(timezone('UTC', clock_timestamp()), 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
    }
    connection = op.get_bind()
    return datetime.fromisoformat(str(connection.exec_driver_sql(clock[connection.dialect.name]).scalar()))


def grant_leases() -> None:
    """Give every running trial a lease from now on, the term of trainings that send no heartbeats."""
    expires = now() + timedelta(hours=SILENT_HOURS)
    job = sa.table("Job", sa.column("job_id"), sa.column("next_expiry", sa.DateTime))
    trial = sa.table(
        "Trial", sa.column("job_id"), sa.column("status"), sa.column("lease_expires", sa.DateTime)
    )
    is_running = trial.c.status == sa.text("'Dispatched'")
    op.execute(sa.update(trial).where(is_running).values(lease_expires=expires))
    running = sa.select(trial.c.job_id).where(is_running)
    op.execute(sa.update(job).where(job.c.job_id.in_(running)).values(next_expiry=expires))
