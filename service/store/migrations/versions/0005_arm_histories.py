"""An arm's results in one row beside it, to be read at once; an older release would leave them behind."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
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
    op.execute("UPDATE \"Compatibility\" SET oldest_revision = '0005'")
