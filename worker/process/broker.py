"""Connections to the broker: retried soon and for ever, and replaced when they hang."""

from __future__ import annotations

from typing import Any

from celery.app import amqp
from kombu import connection

RETRY_SECONDS = 2.0
SOCKET_SECONDS = 5.0
HEALTH_SECONDS = 10

#: These options detect a connection that hangs, either at a command that gets no answer or while a
#: worker waits for messages. That wait is checked every `HEALTH_SECONDS`; a good broker answers it
#: each second.
TRANSPORT = {
    "socket_timeout": SOCKET_SECONDS,
    "socket_connect_timeout": SOCKET_SECONDS,
    "socket_keepalive": True,
    "health_check_interval": HEALTH_SECONDS,
}


class Connection(connection.Connection):
    """A connection that is tried again every `RETRY_SECONDS`.

    Celery would wait two seconds longer each time, up to half a minute, and has no setting for it.
    """

    def ensure_connection(self, *args: Any, **options: Any) -> Any:
        options["interval_max"] = RETRY_SECONDS
        return super().ensure_connection(*args, **options)  # type: ignore[no-untyped-call]


class AMQP(amqp.AMQP):  # type: ignore[misc]
    """The class that Celery takes its connections from."""

    Connection = Connection
