"""Alembic's entry: runs on the connection that `store.database.connection.migrate` has locked."""

from __future__ import annotations

from alembic import context

from store.database.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    # SQLite can alter a table only by building it anew.
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
