"""The index by which the measured jobs of a kind are found among those that wait."""

from __future__ import annotations

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_jobs_pace_key_state", "jobs", ["pace_key", "state"])
    op.drop_index("ix_jobs_pace_key", "jobs")


def downgrade() -> None:
    op.create_index("ix_jobs_pace_key", "jobs", ["pace_key"])
    op.drop_index("ix_jobs_pace_key_state", "jobs")
