"""What jobs of training have in common with others, and how wide they were trained last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("cohort_key", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("cohort_width", sa.Integer(), nullable=True))
    op.add_column("jobs", sa.Column("cohort_device", sa.Text(), nullable=True))


def downgrade() -> None:
    for column in ("cohort_device", "cohort_width", "cohort_key"):
        op.drop_column("jobs", column)
