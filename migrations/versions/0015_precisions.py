"""The rates of a worker's device in each precision, by which `precision: auto` is decided."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.add_column("workers", sa.Column("precisions", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "precisions")
