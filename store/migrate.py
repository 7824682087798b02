"""`python -m store.migrate` brings the schema of the configured database up to date."""

from __future__ import annotations

from store.database import migrate
from store.settings import settings

if __name__ == "__main__":
    migrate(settings().database_url)
