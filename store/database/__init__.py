"""The database: its URL, connections, tables and ids, and how rows are written and paged."""
