"""The limit of open files, and how many connections and held requests it allows."""

from __future__ import annotations

from contextlib import suppress

try:
    import resource
except ImportError:  # Windows, which has no such limit.
    resource = None  # type: ignore[assignment]

UNLIMITED = 65_536
"""The limit that is asked for, and assumed, where the system has none or a higher one."""
OWN_FILES = 320
"""Files for the database's connections, for reading and sending, the libraries, and the slack."""
MOST_SLACK = 128
LEAST_FREE = 32
"""The connections that event streams and waits leave to other requests, at least."""


def raise_limit() -> None:
    """Raise the soft limit of open files, which is often 1,024, as far as the system allows."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = UNLIMITED if hard == resource.RLIM_INFINITY else min(hard, UNLIMITED)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        # Some systems have a lower limit elsewhere and refuse.
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many connections may be open at once, so that files remain for everything else."""
    files = _files()
    return max(files - OWN_FILES, files // 2, 1)


def slack() -> int:
    """How many more connections there may be while old ones close."""
    return min(MOST_SLACK, _files() // 4)


def most_held() -> int:
    """How many connections may be event streams and waits, so that other requests get through."""
    connections = most_connections()
    return max(connections - max(LEAST_FREE, connections // 4), 1)


def _files() -> int:
    if resource is None:
        return UNLIMITED
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, UNLIMITED)
