"""Evaluations of files, which have no run, and evaluations that are wanted by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("evaluations") as table:
        table.alter_column("run_id", existing_type=sa.Text(), nullable=True)
        table.add_column(sa.Column("file_sha256", sa.Text(), nullable=True))
        table.add_column(sa.Column("file_bytes", sa.BigInteger(), nullable=True))
        table.add_column(sa.Column("file_name", sa.Text(), nullable=True))
        table.add_column(
            sa.Column("wanted", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        table.create_unique_constraint(
            "uq_evaluations_file_sha256_evaluation_key", ["file_sha256", "evaluation_key"]
        )
        table.create_check_constraint(
            op.f("ck_evaluations_run_or_file"), "(run_id IS NULL) <> (file_sha256 IS NULL)"
        )
        table.create_index("ix_evaluations_run_id_id", ["run_id", "id"])
    _jobs_run_id(nullable=True)
    with op.batch_alter_table("scores") as table:
        table.alter_column("run_id", existing_type=sa.Text(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM scores WHERE run_id IS NULL")
    op.execute("DELETE FROM jobs WHERE run_id IS NULL")
    op.execute("DELETE FROM evaluations WHERE run_id IS NULL")
    with op.batch_alter_table("scores") as table:
        table.alter_column("run_id", existing_type=sa.Text(), nullable=False)
    _jobs_run_id(nullable=False)
    with op.batch_alter_table("evaluations") as table:
        table.drop_index("ix_evaluations_run_id_id")
        table.drop_constraint(op.f("ck_evaluations_run_or_file"), type_="check")
        table.drop_constraint("uq_evaluations_file_sha256_evaluation_key", type_="unique")
        for column in ("wanted", "file_name", "file_bytes", "file_sha256"):
            table.drop_column(column)
        table.alter_column("run_id", existing_type=sa.Text(), nullable=False)


def _jobs_run_id(*, nullable: bool) -> None:
    # SQLite copies the table by what it can tell of it, and it cannot tell that an index is
    # falling or partial.
    op.drop_index("ix_jobs_in_order", "jobs")
    op.drop_index("uq_jobs_run_id_train", "jobs")
    with op.batch_alter_table("jobs") as table:
        table.alter_column("run_id", existing_type=sa.Text(), nullable=nullable)
    op.create_index(
        "ix_jobs_in_order",
        "jobs",
        ["state", "kind", sa.column("priority").desc(), "created_at", "id"],
    )
    op.create_index(
        "uq_jobs_run_id_train",
        "jobs",
        ["run_id"],
        unique=True,
        sqlite_where=sa.text("kind = 'train'"),
        postgresql_where=sa.text("kind = 'train'"),
    )
