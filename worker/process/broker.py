"""The way to the broker: tried again for ever and soon, and given up when it hangs."""

from __future__ import annotations

from typing import Any

from celery.app import amqp
from kombu import connection

RETRY_SECONDS = 2.0
SOCKET_SECONDS = 5.0
HEALTH_SECONDS = 10

#: By these a connection that hangs is noticed: a command that gets no answer, and a worker's wait
#: for messages, which is looked at every `HEALTH_SECONDS` and answered each second by a good one.
TRANSPORT = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": HEALTH_SECONDS,
}


class Connection(connection.Connection):
    """A connection that is tried again every `RETRY_SECONDS`.

    Celery waits two seconds longer each time, up to half a minute, and has no setting for it.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        options["interval_max"] = RETRY_SECONDS
        return super().ensure_connection(*args, **options)  # type: ignore[no-untyped-call]


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """What Celery takes its connections from."""

    Connection = Connection
