"""Telling workers that there is work. A hint carries nothing and may be lost."""

from __future__ import annotations

import logging

from celery import Celery
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

EXPIRES_SECONDS = 10.0


class Hints:
    """Sends messages to the workers' queues; without a broker it does nothing."""

    def __init__(self, broker_url: str | None) -> None:
        self._app = Celery("heddle-hints", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_ignore_result=True,
            broker_connection_timeout=2.0,
            broker_transport_options={"socket_timeout": 2.0, "socket_connect_timeout": 2.0},
        )
        self._enabled = broker_url is not None

    def send(self, kind: str) -> None:
        """Tell one worker that there is work of a kind, `train` or `evaluate`."""
        if not self._enabled:
            return
        try:
            self._app.send_task(f"heddle.{kind}", queue=kind, expires=EXPIRES_SECONDS, retry=False)
        except OperationalError as error:
            # The work is written down; the sweep will send hints when the broker is back.
            logger.warning("no hint sent: %s", error)

    def reachable(self) -> bool:
        """Whether the broker answers."""
        if not self._enabled:
            return False
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=2.0)
        except OperationalError:
            return False
        return True
