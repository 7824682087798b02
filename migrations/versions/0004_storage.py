"""Keys of requests, pins, the folders that belong to this database, and workers' troubles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("experiments") as table:
        table.add_column(sa.Column("idempotency_key", sa.Text(), nullable=True))
        table.add_column(sa.Column("request_sha256", sa.Text(), nullable=True))
        table.add_column(
            sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        table.create_unique_constraint(
            "uq_experiments_owner_idempotency_key", ["owner", "idempotency_key"]
        )
    op.add_column(
        "runs", sa.Column("pinned", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.create_table(
        "folders",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("kind", name="pk_folders"),
    )
    op.create_table(
        "troubles",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("worker", name="pk_troubles"),
    )


def downgrade() -> None:
    op.drop_table("troubles")
    op.drop_table("folders")
    op.drop_column("runs", "pinned")
    with op.batch_alter_table("experiments") as table:
        table.drop_constraint("uq_experiments_owner_idempotency_key", type_="unique")
        for column in ("pinned", "request_sha256", "idempotency_key"):
            table.drop_column(column)
