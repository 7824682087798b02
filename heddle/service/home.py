"""The home folder of an embedded service, which is for its owner alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from heddle.errors import HomeUnusable

OWNER_ALONE = 0o700
_OTHERS_NOTHING = 0o077


@contextmanager
def private_home(home: Path) -> Iterator[Path]:
    """Make the home if it is missing, and give it as an absolute path.

    Files that this process and its children write within the context are for the owner alone (0700
    and 0600). A home that exists already is closed to others, too.

    Raises:
        HomeUnusable: it cannot be made or written.
    """
    home = home.expanduser().absolute()
    before = os.umask(_OTHERS_NOTHING)
    try:
        with using(home):
            home.mkdir(parents=True, exist_ok=True)
            # A home that belongs to somebody else is served all the same.
            with suppress(PermissionError):
                home.chmod(OWNER_ALONE)
            (home / "logs").mkdir(exist_ok=True)
        yield home
    finally:
        os.umask(before)


@contextmanager
def using(home: Path) -> Iterator[None]:
    """Raise an error of the system within the context as `HomeUnusable`."""
    try:
        yield
    except OSError as error:
        raise HomeUnusable(home, error) from error
