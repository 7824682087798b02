"""Long queues: an index of waiting jobs by cohort, and beats that write into no index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_WAITING = sa.text("state = 'queued'")


def upgrade() -> None:
    op.create_index(
        "ix_jobs_beside",
        "jobs",
        ["cohort_key", "priority", "owner", "short", "created_at", "id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )
    # Every beat changed it, and with it an entry in each index of jobs. Whoever looks for leases
    # that have run out finds the running jobs by their state.
    op.drop_index("ix_jobs_lease_until", "jobs")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE jobs SET (fillfactor = 80)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE jobs RESET (fillfactor)")
    op.create_index("ix_jobs_lease_until", "jobs", ["lease_until"])
    op.drop_index("ix_jobs_beside", "jobs")
