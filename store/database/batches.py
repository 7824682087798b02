"""Long lists of ids, cut into parts that fit one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# SQLite takes 32,766 bound values in a statement, PostgreSQL's protocol 65,535.
_PART = 5_000


def parts(ids: Iterable[str]) -> Iterator[list[str]]:
    """The distinct ids in rising order, in lists short enough for an `IN`.

    The order is part of the promise: rows locked part by part are locked in one order by
    everyone, so that nobody waits in a circle.
    """
    ordered = sorted(set(ids))
    for start in range(0, len(ordered), _PART):
        yield ordered[start : start + _PART]
