"""Which releases can serve the database while it is brought to a later revision."""

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
    op.bulk_insert(compatibility, [{"oldest_revision": revision}])
