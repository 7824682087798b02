"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
# SQLite counts up by itself only in a column that is exactly INTEGER.
_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# States are text, so that a new one needs no migration.
_STATE = sa.String(16)


def upgrade() -> None:
    op.create_table(
        "experiments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("tags", _JSON, nullable=False),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("spec", _JSON, nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("events", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_experiments"),
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("train_id", sa.Text(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.Column("state", _STATE, nullable=False),
        sa.Column("spec", _JSON, nullable=False),
        sa.Column("dataset", sa.Text(), nullable=False),
        sa.Column("objective", sa.Text(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("steps", sa.BigInteger(), nullable=False),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("record", _JSON, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_dataset_id", "runs", ["dataset", "id"])
    op.create_index("ix_runs_objective_id", "runs", ["objective", "id"])
    op.create_index("ix_runs_state_id", "runs", ["state", "id"])
    op.create_index(
        "uq_runs_train_id_current",
        "runs",
        ["train_id"],
        unique=True,
        sqlite_where=sa.text("current = 1"),
        postgresql_where=sa.text("current"),
    )
    op.create_table(
        "checkpoints",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("step", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_checkpoints_run_id_runs"),
        sa.PrimaryKeyConstraint("run_id", "fence", "step", name="pk_checkpoints"),
    )
    op.create_table(
        "evaluations",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_key", sa.Text(), nullable=False),
        sa.Column("spec", _JSON, nullable=False),
        sa.Column("state", _STATE, nullable=False),
        sa.Column("error", _JSON, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_evaluations_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_evaluations"),
        sa.UniqueConstraint(
            "run_id", "evaluation_key", name="uq_evaluations_run_id_evaluation_key"
        ),
    )
    op.create_table(
        "events",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"], ["experiments.id"], name="fk_events_experiment_id_experiments"
        ),
        sa.PrimaryKeyConstraint("experiment_id", "number", name="pk_events"),
    )
    op.create_table(
        "scalars",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("first_step", sa.BigInteger(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("points", _JSON, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_scalars_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_scalars"),
    )
    op.create_index("ix_scalars_run_id_fence_id", "scalars", ["run_id", "fence", "id"])
    op.create_table(
        "artifacts",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_artifacts_evaluation_id_evaluations"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_artifacts_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
    )
    op.create_index("ix_artifacts_run_id_name_id", "artifacts", ["run_id", "name", "id"])
    op.create_index("ix_artifacts_sha256", "artifacts", ["sha256"])
    op.create_table(
        "experiment_runs",
        sa.Column("experiment_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Text(), nullable=False),
        sa.Column("swept", _JSON, nullable=False),
        sa.Column("reused", sa.Boolean(), nullable=False),
        sa.Column("wanted", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"],
            ["evaluations.id"],
            name="fk_experiment_runs_evaluation_id_evaluations",
        ),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name="fk_experiment_runs_experiment_id_experiments",
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_experiment_runs_run_id_runs"),
        sa.PrimaryKeyConstraint("experiment_id", "position", name="pk_experiment_runs"),
    )
    op.create_index("ix_experiment_runs_evaluation_id", "experiment_runs", ["evaluation_id"])
    op.create_index("ix_experiment_runs_run_id", "experiment_runs", ["run_id"])
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", _STATE, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Text(), nullable=True),
        sa.Column("state", _STATE, nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("progress", _JSON, nullable=True),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_jobs_evaluation_id_evaluations"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_jobs_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_evaluation_id", "jobs", ["evaluation_id"], unique=True)
    op.create_index("ix_jobs_run_id_state", "jobs", ["run_id", "state"])
    op.create_index(
        "ix_jobs_in_order",
        "jobs",
        ["state", "kind", sa.column("priority").desc(), "created_at", "id"],
    )
    op.create_index("ix_jobs_lease_until", "jobs", ["lease_until"])
    op.create_index(
        "uq_jobs_run_id_train",
        "jobs",
        ["run_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'train'"),
        postgresql_where=sa.text("kind = 'train'"),
    )
    op.create_table(
        "scores",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("evaluation_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("document", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_scores_evaluation_id_evaluations"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_scores_run_id_runs"),
        sa.PrimaryKeyConstraint("id", name="pk_scores"),
        sa.UniqueConstraint("evaluation_id", "position", name="uq_scores_evaluation_id_position"),
    )
    op.create_index("ix_scores_run_id", "scores", ["run_id"])


def downgrade() -> None:
    op.drop_table("scores")
    op.drop_table("jobs")
    op.drop_table("experiment_runs")
    op.drop_table("artifacts")
    op.drop_table("scalars")
    op.drop_table("events")
    op.drop_table("evaluations")
    op.drop_table("checkpoints")
    op.drop_table("runs")
    op.drop_table("experiments")
