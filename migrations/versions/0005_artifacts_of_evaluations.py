"""An index without which deleting each evaluation scans all artifacts."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_artifacts_evaluation_id", "artifacts", ["evaluation_id"])


def downgrade() -> None:
    op.drop_index("ix_artifacts_evaluation_id", "artifacts")
