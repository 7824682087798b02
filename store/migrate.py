"""`python -m store.migrate` brings the schema of the configured database up to date."""

from __future__ import annotations

import sys

from pydantic import ValidationError
from sqlalchemy.exc import OperationalError

from store.database.connection import migrate
from store.database.url import parsed_url
from store.errors import DatabaseUnusable, StoreError
from store.settings import Settings, settings


def main() -> None:
    """Migrate, or exit with a message that says what to do."""
    try:
        url = settings().database_url
    except ValidationError as error:
        sys.exit("\n".join(_faults(error)))
    try:
        migrate(url)
    except StoreError as error:
        sys.exit(str(error))
    except (OperationalError, OSError) as error:
        cause = error.orig if isinstance(error, OperationalError) else error
        why = " ".join(str(cause).split()).rstrip(".?")
        sys.exit(str(DatabaseUnusable(parsed_url(url).render_as_string(), why)))


def _faults(error: ValidationError) -> list[str]:
    """A line for each wrong setting, with the name that the operator wrote."""
    prefix = str(Settings.model_config["env_prefix"])
    names = ["_".join(map(str, fault["loc"])).upper() for fault in error.errors()]
    return [
        f"{prefix}{name}: got {fault['input']!r}; {fault['msg']}"
        for name, fault in zip(names, error.errors(), strict=True)
    ]


if __name__ == "__main__":
    main()
