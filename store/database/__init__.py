"""The database: its URL, engine, tables, and how rows are written and paged."""
