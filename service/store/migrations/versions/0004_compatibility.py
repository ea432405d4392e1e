"""Which releases can serve the database as it is; an arm's results in one row beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    compatibility = op.create_table(
        "Compatibility",
        sa.Column("oldest_revision", sa.VARCHAR(32), nullable=False),
        sa.PrimaryKeyConstraint("oldest_revision"),
    )
    # A release before would not write the results that are kept here.
    op.bulk_insert(compatibility, [{"oldest_revision": revision}])
    op.create_table(
        "ArmHistory",
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("results", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "batch_size"),
        sa.ForeignKeyConstraint(
            ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
        ),
    )
