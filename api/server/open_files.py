"""How many files this process may open, and how they are shared out between its connections."""

from __future__ import annotations

from contextlib import suppress

try:
    import resource
except ImportError:  # Windows, which has no such limit.
    resource = None  # type: ignore[assignment]

UNLIMITED = 65_536
"""No more is reckoned with, or asked for."""
OWN_FILES = 320
"""For the database's connections, files that are read or sent, the libraries, and the slack."""
MOST_SLACK = 128
LEAST_FREE = 32
"""Connections that no stream takes."""


def raise_limit() -> None:
    """Take what the system would give: the soft limit of open files is often 1,024."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == resource.RLIM_INFINITY else min(hard, UNLIMITED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have another limit besides.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many may be open at once, so that files remain for all else."""
    files = _files()
    return max(files - OWN_FILES, files // 2, 1)


def slack() -> int:
    """How many more there may be for the moment in which those that are refused go."""
    return min(MOST_SLACK, _files() // 4)


def most_held() -> int:
    """How many of these may be held open until something happens, so that others get through."""
    connections = most_connections()
    return max(connections - max(LEAST_FREE, connections // 4), 1)


def _files() -> int:
    if resource is None:
        return UNLIMITED
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, UNLIMITED)
