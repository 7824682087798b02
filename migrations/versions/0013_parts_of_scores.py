"""Parts of scores that tables of many runs read: generated columns beside the documents.

On PostgreSQL this writes the table of scores anew, ten seconds or so for a million scores.
"""

from __future__ import annotations

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
        for column, names in PARTS.items():
            paths = ", ".join(f"'$.{name}'" for name in names)
            made = f"json_extract(document, {paths})"
            op.execute(
                f"ALTER TABLE scores ADD COLUMN {column} TEXT GENERATED ALWAYS AS ({made}) VIRTUAL"
            )
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
