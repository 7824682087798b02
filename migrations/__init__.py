"""The steps that bring a database's schema to what `store.database.tables` describes (Alembic).

`python -m store.migrate` applies them. A migration, once released, is never edited.
"""
