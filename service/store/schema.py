"""The tables: those of the reference by name and meaning, and what this service adds to them."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from core.records import Failures, Policy, Stage, TrialStatus, TrialType
from service.store.happening import Kind

metadata = sa.MetaData()


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC time, kept without a zone as the reference's columns are."""

    impl = sa.DateTime
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], datetime | str | None]:
        """Return what drops the zone of a UTC time, and for SQLite writes it as SQLAlchemy's type does."""

        # ``combine`` takes a sixth of the time of ``replace``, and the hot path does it for every row.
        def naive(value: datetime | None) -> datetime | None:
            return None if value is None else datetime.combine(value.date(), value.time())

        def text(value: datetime | None) -> str | None:
            if value is None:
                return None
            return datetime.combine(value.date(), value.time()).isoformat(" ", "microseconds")

        return text if dialect.name == "sqlite" else naive

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:  # noqa: ARG002
        """Return what says that a time is UTC, and for SQLite reads it."""

        def aware(value: datetime | None) -> datetime | None:
            return None if value is None else datetime.combine(value.date(), value.time(), UTC)

        def read(value: str | None) -> datetime | None:
            return None if value is None else aware(datetime.fromisoformat(value))

        return read if dialect.name == "sqlite" else aware


class JsonMapping(sa.types.TypeDecorator[Mapping[Any, Any]]):
    """A mapping of a kind, empty more often than not, as JSON."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, kind: type[Mapping[Any, Any]]) -> None:
        super().__init__()
        self.kind = kind

    def bind_processor(self, dialect: Dialect) -> Callable[[Mapping[Any, Any] | None], str]:  # noqa: ARG002
        """Return what writes it."""
        encode = msgspec.json.encode
        return lambda mapping: encode(mapping).decode() if mapping else "{}"

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str], Mapping[Any, Any]]:  # noqa: ARG002
        """Return what reads it."""
        decode = msgspec.json.Decoder(self.kind).decode
        return lambda text: decode(text) if text != "{}" else {}


def _enum(kind: type[StrEnum], name: str) -> sa.Enum:
    return sa.Enum(kind, name=name, values_callable=lambda members: [member.value for member in members])


def _word(kind: type[StrEnum], length: int) -> sa.Enum:
    """Return a type of words that later releases add to: to the database they are texts."""
    return sa.Enum(
        kind,
        native_enum=False,
        create_constraint=False,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )


job = sa.Table(
    "Job",
    metadata,
    sa.Column("job_id", sa.VARCHAR(400), primary_key=True),
    sa.Column("job_id_prefix", sa.VARCHAR(300), nullable=False, index=True),
    sa.Column("default_batch_size", sa.Integer, nullable=False),
    sa.Column("higher_is_better_metric", sa.Boolean, nullable=False),
    sa.Column("eta_knob", sa.Float, nullable=False),
    sa.Column("beta_knob", sa.Float),
    sa.Column("target_metric", sa.Float, nullable=False),
    sa.Column("max_epochs", sa.Integer, nullable=False),
    sa.Column("num_pruning_rounds", sa.Integer, nullable=False),
    sa.Column("window_size", sa.Integer, nullable=False),
    sa.Column("max_power", sa.Float, nullable=False),
    sa.Column("number_of_gpus", sa.Integer, nullable=False),
    sa.Column("gpu_model", sa.VARCHAR(300), nullable=False),
    sa.Column("mab_prior_mean", sa.Float, nullable=False),
    sa.Column("mab_prior_precision", sa.Float, nullable=False),
    sa.Column("mab_num_explorations", sa.Integer, nullable=False),
    sa.Column("mab_seed", sa.BigInteger),
    sa.Column("mab_random_generator_state", sa.VARCHAR(10000)),
    sa.Column("exp_default_batch_size", sa.Integer, nullable=False),
    sa.Column("stage", _enum(Stage, "stage"), nullable=False),
    sa.Column("min_cost", sa.Float),
    sa.Column("min_cost_batch_size", sa.Integer, nullable=False),
    sa.Column("last_trial_number", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_seconds", sa.Float, server_default="600"),
    sa.Column("max_failures", sa.Integer, nullable=False, server_default="3"),
    sa.Column("failures", JsonMapping(dict[int, Failures]), nullable=False, server_default="{}"),
    sa.Column("next_expiry", UtcDateTime, index=True),
    sa.Column("longest_gap", sa.Float, nullable=False, server_default="0"),
    sa.Column("reset_number", sa.Integer, nullable=False, server_default="0"),
    sa.Column("policy", _word(Policy, 30), nullable=False, server_default="zeus"),
    sa.Column("is_paused", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("registered", JsonMapping(dict[str, int | float | None]), nullable=False, server_default="{}"),
    sa.Column("num_converged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("num_unconverged", sa.Integer, nullable=False, server_default="0"),
    sa.Column("num_failed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("spent_time", sa.Float, nullable=False, server_default="0"),
    sa.Column("spent_energy", sa.Float, nullable=False, server_default="0"),
    sa.Column("num_default", sa.Integer, nullable=False, server_default="0"),
    sa.Column("default_time", sa.Float, nullable=False, server_default="0"),
    sa.Column("default_energy", sa.Float, nullable=False, server_default="0"),
    sa.Column("last_activity", UtcDateTime),
    sa.Column("knowledge", sa.Text),
    sa.Column("warm_start_from", sa.VARCHAR(400)),
    sa.Column("num_drifts", sa.Integer, nullable=False, server_default="0"),
)

batch_size = sa.Table(
    "BatchSize",
    metadata,
    sa.Column("job_id", sa.VARCHAR(400), sa.ForeignKey("Job.job_id", ondelete="CASCADE"), primary_key=True),
    sa.Column("batch_size", sa.Integer, primary_key=True, autoincrement=False),
)


def _of_a_batch_size() -> tuple[sa.schema.SchemaItem, ...]:
    """Return the key of a table with at most a row a batch size, and its reference to it."""
    return (
        sa.Column("job_id", sa.VARCHAR(400), primary_key=True),
        sa.Column("batch_size", sa.Integer, primary_key=True, autoincrement=False),
        sa.ForeignKeyConstraint(
            ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
        ),
    )


arm = sa.Table(
    "GaussianTsArmState",
    metadata,
    *_of_a_batch_size(),
    sa.Column("param_mean", sa.Float, nullable=False),
    sa.Column("param_precision", sa.Float, nullable=False),
    sa.Column("reward_precision", sa.Float, nullable=False),
    sa.Column("num_observations", sa.Integer, nullable=False),
)

trial = sa.Table(
    "Trial",
    metadata,
    sa.Column("job_id", sa.VARCHAR(400), primary_key=True),
    sa.Column("batch_size", sa.Integer, nullable=False),
    sa.Column("trial_number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("start_timestamp", UtcDateTime, nullable=False),
    sa.Column("type", _enum(TrialType, "trialtype"), nullable=False),
    sa.Column("status", _enum(TrialStatus, "trialstatus"), nullable=False),
    sa.Column("end_timestamp", UtcDateTime),
    sa.Column("time", sa.Float),
    sa.Column("energy", sa.Float),
    sa.Column("converged", sa.Boolean),
    sa.Column("lease_expires", UtcDateTime),
    sa.Column("last_report", UtcDateTime),
    sa.Column("has_heartbeat", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("failure_reason", sa.VARCHAR(100)),
    sa.Column("is_late", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("energy_source", sa.VARCHAR(100)),
    sa.Column("rationale", sa.Text),
    sa.Column("curve", sa.Text),
    sa.Column("epochs", sa.Integer),
    sa.Column("drifted_from", sa.Float),
    sa.ForeignKeyConstraint(
        ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
    ),
)

# What decisions read of the trials, each in an index of its own so that no read meets other rows; that of
# results, which is read most, need not look at the table at all.
_explorations = sa.text("type = 'Exploration' AND status <> 'Failed'")
sa.Index(
    "ix_Trial_explorations",
    trial.c.job_id,
    trial.c.trial_number,
    sqlite_where=_explorations,
    postgresql_where=_explorations,
)
_results = sa.text("status = 'Succeeded'")
sa.Index(
    "ix_Trial_results",
    trial.c.job_id,
    trial.c.batch_size,
    trial.c.trial_number,
    trial.c.time,
    trial.c.energy,
    sqlite_where=_results,
    postgresql_where=_results,
)

_explored = sa.text("type = 'Exploration'")
sa.Index(
    "ix_Trial_explored",
    trial.c.job_id,
    trial.c.batch_size,
    trial.c.trial_number,
    sqlite_where=_explored,
    postgresql_where=_explored,
)
_running = sa.text("status = 'Dispatched'")
sa.Index(
    "ix_Trial_leases",
    trial.c.job_id,
    trial.c.lease_expires,
    sqlite_where=_running,
    postgresql_where=_running,
)

# What is seldom among many trials, for who looks: what failed, what did not converge.
for _name, _seldom in (
    ("ix_Trial_failed", sa.text("status = 'Failed'")),
    ("ix_Trial_missed", sa.text("NOT converged")),
):
    sa.Index(
        _name,
        trial.c.job_id,
        trial.c.trial_number,
        trial.c.batch_size,
        sqlite_where=_seldom,
        postgresql_where=_seldom,
    )

# The running sums of an arm's results, once it has too many to refit: seconds t, joules e, their products.
arm_sums = sa.Table(
    "ArmSums",
    metadata,
    *_of_a_batch_size(),
    sa.Column("num_results", sa.Integer, nullable=False),
    *(
        sa.Column(f"{name}_{part}", sa.Float, nullable=False)
        for name in ("t", "e", "tt", "te", "ee")
        for part in ("high", "low")
    ),
)

# The results of an arm that is refitted on them, as ``core.history.History``; from the trials they would take
# thirty times as long to read. They begin with its first refit, and go when the arm lives on its sums.
arm_history = sa.Table(
    "ArmHistory",
    metadata,
    *_of_a_batch_size(),
    sa.Column("results", sa.LargeBinary, nullable=False),
)

deleted_job = sa.Table(
    "DeletedJob",
    metadata,
    sa.Column("job_id", sa.VARCHAR(400), primary_key=True),
    sa.Column("last_trial_number", sa.Integer, nullable=False),
)

# The first answer to a call that came with a key, for when it comes again; one row a command of the call.
answer = sa.Table(
    "Answer",
    metadata,
    sa.Column("key", sa.VARCHAR(64), primary_key=True),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("fingerprint", sa.VARCHAR(64), nullable=False),
    sa.Column("created_timestamp", UtcDateTime, nullable=False, index=True),
    sa.Column("outcome", sa.LargeBinary, nullable=False),
)

# Who may call: a token's secret is kept as its SHA-256 in hexadecimal digits, never as it is.
token = sa.Table(
    "Token",
    metadata,
    sa.Column("token_id", sa.VARCHAR(16), primary_key=True),
    sa.Column("digest", sa.VARCHAR(64), nullable=False),
    sa.Column("role", sa.VARCHAR(16), nullable=False),
    sa.Column("job_id_prefix", sa.VARCHAR(300), nullable=False),
    sa.Column("created_timestamp", UtcDateTime, nullable=False),
    sa.Column("last_used_timestamp", UtcDateTime),
    sa.Column("revoked_timestamp", UtcDateTime),
)

# Who did what of the things that are seldom done and asked about later; rows are only ever added.
audit_event = sa.Table(
    "AuditEvent",
    metadata,
    sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("timestamp", UtcDateTime, nullable=False),
    sa.Column("actor", sa.VARCHAR(32), nullable=False),
    sa.Column("action", sa.VARCHAR(32), nullable=False),
    sa.Column("subject", sa.VARCHAR(400), nullable=False),
)

# What happens, for those who watch; what is older than a day goes. Ids are given before transactions commit,
# so that on Postgres a later one may be seen first: there events are read in the order of their transactions,
# up to the oldest that has not ended. On SQLite, where one ends before the next begins, the transaction is 0
# and ids are the order.
event = sa.Table(
    "Event",
    metadata,
    sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("transaction_id", sa.BigInteger, nullable=False),
    sa.Column("timestamp", UtcDateTime, nullable=False),
    sa.Column("job_id", sa.VARCHAR(400), nullable=False),
    sa.Column("kind", _word(Kind, 32), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Index("ix_Event_order", "transaction_id", "event_id"),
)

# One row: the oldest revision whose release can serve the tables as they are. A revision that only adds
# leaves it alone, so that replicas of the release before go on; one that takes away what older ones use
# raises it.
compatibility = sa.Table(
    "Compatibility",
    metadata,
    sa.Column("oldest_revision", sa.VARCHAR(32), primary_key=True),
)
