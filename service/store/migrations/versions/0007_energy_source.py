"""Where the energy of a result was read."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("Trial", sa.Column("energy_source", sa.VARCHAR(100)))
