"""`python -m store.migrate` brings the schema of the configured database up to date."""

from __future__ import annotations

import sys

from store.database import migrate
from store.errors import DatabaseOnNetwork
from store.settings import settings

if __name__ == "__main__":
    try:
        migrate(settings().database_url)
    except DatabaseOnNetwork as error:
        sys.exit(str(error))
