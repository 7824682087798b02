"""Parts of scores that tables of many runs read: generated columns beside the documents.

This writes the table of scores anew: for a million scores, ten seconds or so on PostgreSQL and half
a minute on SQLite, whose file grows by as much as the scores take. It uses the old place again for
what comes later.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

PARTS = {
    "numbers": ("value", "error", "null", "ci95"),
    "setting": (
        "metric",
        "name",
        "higher_is_better",
        "range",
        "perfect",
        "codes",
        "images",
        "params",
        "definition",
        "rows",
        "population",
        "train_rows",
        "factors",
        "groups",
    ),
}


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        # SQLite adds no stored column to a table, so it is built anew. The parts stand before the
        # document, as a row is read up to the last column that is asked for.
        with op.batch_alter_table("scores", recreate="always") as table:
            for column, names in PARTS.items():
                paths = ", ".join(f"'$.{name}'" for name in names)
                made = sa.Computed(f"json_extract(document, {paths})", persisted=True)
                table.add_column(sa.Column(column, sa.Text(), made), insert_before="document")
        return
    added = []
    for column, names in PARTS.items():
        values = (f"coalesce((document -> '{name}')::text, 'null')" for name in names)
        made = "'[' || " + " || ',' || ".join(values) + " || ']'"
        added.append(f"ADD COLUMN {column} TEXT GENERATED ALWAYS AS ({made}) STORED")
    # One statement, so that the table is written anew once.
    op.execute(f"ALTER TABLE scores {', '.join(added)}")


def downgrade() -> None:
    for column in PARTS:
        op.execute(f"ALTER TABLE scores DROP COLUMN {column}")
