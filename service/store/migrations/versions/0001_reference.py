"""The tables exactly as the reference creates them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "Job",
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("job_id_prefix", sa.VARCHAR(300), nullable=False),
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
        sa.Column("gpu_model", sa.VARCHAR(30), nullable=False),
        sa.Column("mab_prior_mean", sa.Float, nullable=False),
        sa.Column("mab_prior_precision", sa.Float, nullable=False),
        sa.Column("mab_num_explorations", sa.Integer, nullable=False),
        sa.Column("mab_seed", sa.Integer),
        sa.Column("mab_random_generator_state", sa.VARCHAR(10000)),
        sa.Column("exp_default_batch_size", sa.Integer, nullable=False),
        sa.Column("stage", sa.Enum("Pruning", "MAB", name="stage"), nullable=False),
        sa.Column("min_cost", sa.Float),
        sa.Column("min_cost_batch_size", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id"),
    )
    op.create_table(
        "BatchSize",
        sa.Column("job_id", sa.VARCHAR(400), nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "batch_size"),
        sa.ForeignKeyConstraint(["job_id"], ["Job.job_id"], ondelete="CASCADE"),
    )
    op.create_table(
        "GaussianTsArmState",
        sa.Column("job_id", sa.VARCHAR(300), nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("param_mean", sa.Float, nullable=False),
        sa.Column("param_precision", sa.Float, nullable=False),
        sa.Column("reward_precision", sa.Float, nullable=False),
        sa.Column("num_observations", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "batch_size"),
        sa.ForeignKeyConstraint(
            ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
        ),
    )
    op.create_table(
        "Trial",
        sa.Column("job_id", sa.VARCHAR(300), nullable=False),
        sa.Column("batch_size", sa.Integer, nullable=False),
        sa.Column("trial_number", sa.Integer, nullable=False),
        sa.Column("start_timestamp", sa.DateTime, nullable=False),
        sa.Column("type", sa.Enum("Exploration", "Concurrent", "MAB", name="trialtype"), nullable=False),
        sa.Column("status", sa.Enum("Dispatched", "Succeeded", "Failed", name="trialstatus"), nullable=False),
        sa.Column("end_timestamp", sa.DateTime),
        sa.Column("time", sa.Float),
        sa.Column("energy", sa.Float),
        sa.Column("converged", sa.Boolean),
        sa.PrimaryKeyConstraint("job_id", "trial_number"),
        sa.ForeignKeyConstraint(
            ["job_id", "batch_size"], ["BatchSize.job_id", "BatchSize.batch_size"], ondelete="CASCADE"
        ),
    )
