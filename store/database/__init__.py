"""The database: where it is, connections, tables, ids, and how rows are written and paged."""
