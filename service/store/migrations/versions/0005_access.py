"""Tokens, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "Token",
        sa.Column("token_id", sa.VARCHAR(16), nullable=False),
        sa.Column("digest", sa.VARCHAR(64), nullable=False),
        sa.Column("role", sa.VARCHAR(16), nullable=False),
        sa.Column("job_id_prefix", sa.VARCHAR(300), nullable=False),
        sa.Column("created_timestamp", sa.DateTime, nullable=False),
        sa.Column("last_used_timestamp", sa.DateTime),
        sa.Column("revoked_timestamp", sa.DateTime),
        sa.PrimaryKeyConstraint("token_id"),
    )
    op.create_table(
        "AuditEvent",
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("timestamp", sa.DateTime, nullable=False),
        sa.Column("actor", sa.VARCHAR(32), nullable=False),
        sa.Column("action", sa.VARCHAR(32), nullable=False),
        sa.Column("subject", sa.VARCHAR(400), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
    )
