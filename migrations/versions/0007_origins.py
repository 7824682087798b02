"""Runs that go on from where others ended."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    # Runs from before have kept no state, so that none goes on from them.
    op.add_column("runs", sa.Column("course_id", sa.Text(), nullable=True))
    op.add_column("runs", sa.Column("origin", JSON, nullable=True))
    op.create_index("ix_runs_course_id", "runs", ["course_id"])
    op.create_index("ix_checkpoints_path", "checkpoints", ["path"])


def downgrade() -> None:
    op.drop_index("ix_checkpoints_path", "checkpoints")
    op.drop_index("ix_runs_course_id", "runs")
    op.drop_column("runs", "origin")
    op.drop_column("runs", "course_id")
