"""What was understood of a file of codes, kept with its evaluation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("evaluations", sa.Column("understood", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("evaluations", "understood")
