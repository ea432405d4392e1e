"""Running sums of arms with too many results to refit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "ArmSums",
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("num_results", sa.Integer, nullable=False),
        *(
            sa.Column(f"{name}_{part}", sa.Float, nullable=False)
            for name in ("t", "e", "tt", "te", "ee")
            for part in ("high", "low")
        ),
        sa.PrimaryKeyConstraint("job_id", "batch_size"),
        sa.ForeignKeyConstraint(
            ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
        ),
    )
