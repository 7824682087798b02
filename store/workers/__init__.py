"""Worker processes: their presence, and the troubles that keep them from taking jobs."""
