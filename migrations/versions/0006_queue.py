"""Turns, attempts, workers, logs, and one order of all events."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KIND = sa.String(length=16)
_ORDER = ["state", "kind", sa.text("priority DESC"), "created_at", "id"]


def upgrade() -> None:
    op.execute("UPDATE experiments SET owner = 'local' WHERE owner IS NULL")
    op.execute("UPDATE jobs SET owner = 'local' WHERE owner IS NULL")
    op.add_column("jobs", sa.Column("pace_key", sa.Text(), nullable=True))
    op.add_column(
        "jobs", sa.Column("short", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("jobs", sa.Column("claimed_at", sa.Double(), nullable=True))
    op.add_column(
        "jobs", sa.Column("together", sa.Integer(), server_default=sa.text("1"), nullable=False)
    )
    op.add_column(
        "jobs", sa.Column("give_way", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_index("ix_jobs_pace_key", "jobs", ["pace_key"])
    op.drop_index("ix_jobs_in_order", "jobs")
    op.create_index(
        "ix_jobs_in_turn",
        "jobs",
        ["state", "kind", "priority", "owner", "short", "created_at", "id"],
    )
    op.create_table(
        "attempts",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("fence", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("evaluation_id", sa.Text(), nullable=True),
        sa.Column("owner", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("device_model", sa.Text(), nullable=True),
        sa.Column("began_at", sa.Double(), nullable=False),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.Column("end", sa.String(length=16), nullable=True),
        sa.Column("cause", JSON, nullable=True),
        sa.Column("together", sa.Integer(), nullable=True),
        sa.Column("measured", JSON, nullable=True),
        sa.PrimaryKeyConstraint("job_id", "fence", name="pk_attempts"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_attempts_job_id_jobs"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_attempts_run_id_runs"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_attempts_evaluation_id_evaluations"
        ),
    )
    op.create_index("ix_attempts_run_id_began_at", "attempts", ["run_id", "began_at"])
    op.create_index("ix_attempts_evaluation_id", "attempts", ["evaluation_id"])
    op.create_table(
        "served",
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("priority", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("short", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("claimed_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", "kind", "priority", "short", name="pk_served"),
    )
    op.create_table(
        "counters",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_counters"),
    )
    _number_events()
    op.create_table(
        "log_lines",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("evaluation_id", sa.Text(), nullable=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_lines"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_log_lines_run_id_runs"),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluations.id"], name="fk_log_lines_evaluation_id_evaluations"
        ),
    )
    op.create_index("ix_log_lines_run_id_id", "log_lines", ["run_id", "id"])
    op.create_index("ix_log_lines_evaluation_id_id", "log_lines", ["evaluation_id", "id"])
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", KIND, nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("device_model", sa.Text(), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger(), nullable=True),
        sa.Column("memory_free_bytes", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_workers"),
    )


def _number_events() -> None:
    """Give the events that are there a place among all, by when they were written."""
    with op.batch_alter_table("events") as table:
        table.add_column(sa.Column("position", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE events SET position = numbered.position FROM (SELECT experiment_id, number,"
        " row_number() OVER (ORDER BY created_at, experiment_id, number) AS position FROM events)"
        " AS numbered WHERE numbered.experiment_id = events.experiment_id"
        " AND numbered.number = events.number"
    )
    op.execute("INSERT INTO counters (name, value) SELECT 'events', count(*) FROM events")
    with op.batch_alter_table("events") as table:
        table.alter_column("position", existing_type=sa.BigInteger(), nullable=False)
        table.create_unique_constraint("uq_events_position", ["position"])
        table.create_index("ix_events_experiment_id_position", ["experiment_id", "position"])


def downgrade() -> None:
    op.drop_table("workers")
    op.drop_table("log_lines")
    with op.batch_alter_table("events") as table:
        table.drop_index("ix_events_experiment_id_position")
        table.drop_constraint("uq_events_position", type_="unique")
        table.drop_column("position")
    op.drop_table("counters")
    op.drop_table("served")
    op.drop_table("attempts")
    op.drop_index("ix_jobs_in_turn", "jobs")
    op.create_index("ix_jobs_in_order", "jobs", _ORDER)
    op.drop_index("ix_jobs_pace_key", "jobs")
    for column in ("give_way", "together", "claimed_at", "short", "pace_key"):
        op.drop_column("jobs", column)
