"""Runs the revisions on the connection that the caller opened, inside the caller's transaction."""

from alembic import context

from service.store.revision import VERSION_TABLE
from service.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
