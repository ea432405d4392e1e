"""Which revision a database is at, and bringing it to this release's."""

from enum import Enum
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from service.store import schema

VERSION_TABLE = "batchbandit_version"
REFERENCE_REVISION = "0001"
OLDEST_SERVED = "0004"
"""The oldest revision whose release can serve the tables as this one makes them."""

# Tables that say nothing about whose database it is.
IGNORED_TABLES = {"alembic_version"}


class State(Enum):
    """What a database is to this release."""

    EMPTY = "has no tables yet"
    CURRENT = "is at this release's revision"
    EXPANDED = "is at a later revision, which this release can serve too"
    BEHIND = "is at an older revision"
    AHEAD = "is at a revision that this release does not know"
    REFERENCE = "was made by the reference server"
    FOREIGN = "holds other tables"


SERVED = {State.CURRENT, State.EXPANDED}
"""What this release serves."""


def state_of(connection: Connection) -> State:
    """Tell what the database behind a connection is."""
    inspector = sa.inspect(connection)
    tables = set(inspector.get_table_names())
    if VERSION_TABLE in tables:
        return _state_of_version(connection)
    if not tables - IGNORED_TABLES:
        return State.EMPTY
    if tables - IGNORED_TABLES == set(REFERENCE_COLUMNS) and all(
        {column["name"] for column in inspector.get_columns(table)} == columns
        for table, columns in REFERENCE_COLUMNS.items()
    ):
        return State.REFERENCE
    return State.FOREIGN


def _state_of_version(connection: Connection) -> State:
    version = connection.scalar(sa.select(sa.column("version_num")).select_from(sa.table(VERSION_TABLE)))
    if version is None:
        return State.FOREIGN
    script = ScriptDirectory.from_config(_config(connection))
    head = script.get_current_head() or ""
    if version == head:
        return State.CURRENT
    if version in {revision.revision for revision in script.walk_revisions()}:
        return State.BEHIND
    return State.EXPANDED if _oldest_served(connection) <= head else State.AHEAD


def _oldest_served(connection: Connection) -> str:
    """Return the oldest revision whose release can serve the database as it is; revisions are numbered."""
    if not sa.inspect(connection).has_table(schema.compatibility.name):
        return "9999"
    return str(connection.scalar(sa.select(schema.compatibility.c.oldest_revision)) or "9999")


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the missing revisions inside the connection's transaction."""
    command.upgrade(_config(connection), revision)


def stamp_reference(connection: Connection) -> None:
    """Record that a reference database is at the first revision, whose tables it has."""
    command.stamp(_config(connection), REFERENCE_REVISION)


def stamp_head(connection: Connection) -> None:
    """Record that tables which were created as this release has them are at its revision."""
    command.stamp(_config(connection), "head")
    connection.execute(sa.insert(schema.compatibility).values(oldest_revision=OLDEST_SERVED))


def _config(connection: Connection) -> Config:
    config = Config(attributes={"connection": connection})
    location = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    return config


REFERENCE_COLUMNS = {
    "Job": {
        "job_id",
        "job_id_prefix",
        "default_batch_size",
        "higher_is_better_metric",
        "eta_knob",
        "beta_knob",
        "target_metric",
        "max_epochs",
        "num_pruning_rounds",
        "window_size",
        "max_power",
        "number_of_gpus",
        "gpu_model",
        "mab_prior_mean",
        "mab_prior_precision",
        "mab_num_explorations",
        "mab_seed",
        "mab_random_generator_state",
        "exp_default_batch_size",
        "stage",
        "min_cost",
        "min_cost_batch_size",
    },
    "BatchSize": {"job_id", "batch_size"},
    "GaussianTsArmState": {
        "job_id",
        "batch_size",
        "param_mean",
        "param_precision",
        "reward_precision",
        "num_observations",
    },
    "Trial": {
        "job_id",
        "batch_size",
        "trial_number",
        "start_timestamp",
        "type",
        "status",
        "end_timestamp",
        "time",
        "energy",
        "converged",
    },
}
