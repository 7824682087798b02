"""The folder of an embedded service: its owner's alone, and usable, or a line that says why not."""

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
    """The home as an absolute path, made where it is missing; what is written within, by this
    process and by those that it starts, is for the owner alone (0700 and 0600).

    A home that is there already is closed to others, too.

    Raises:
        HomeUnusable: if it cannot be made or written, which is tried.
    """
    home = home.expanduser().absolute()
    before = os.umask(_OTHERS_NOTHING)
    try:
        with using(home):
            home.mkdir(parents=True, exist_ok=True)
            # Whoever shares a home that is another's serves it all the same.
            with suppress(PermissionError):
                home.chmod(OWNER_ALONE)
            (home / "logs").mkdir(exist_ok=True)
        yield home
    finally:
        os.umask(before)


@contextmanager
def using(home: Path) -> Iterator[None]:
    """What the system refuses within is a fact about the home."""
    try:
        yield
    except OSError as error:
        raise HomeUnusable(home, error) from error
