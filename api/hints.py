"""Telling workers that there is work. A hint carries nothing and may be lost."""

from __future__ import annotations

import logging

from celery import Celery
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

EXPIRES_SECONDS = 10.0
PATIENCE_SECONDS = 2.0
QUEUES = ("train", "evaluate")


class Hints:
    """Sends messages to the workers' queues; without a broker it does nothing."""

    def __init__(self, broker_url: str | None) -> None:
        self._app = Celery("heddle-hints", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            task_ignore_result=True,
            broker_connection_timeout=PATIENCE_SECONDS,
            broker_transport_options={
                "socket_timeout": PATIENCE_SECONDS,
                "socket_connect_timeout": PATIENCE_SECONDS,
                # One attempt: kombu would otherwise sit out its patience on a refused connection.
                "max_retries": 0,
            },
        )
        self._enabled = broker_url is not None

    def send(self) -> None:
        """Tell a worker of each queue that there may be work.

        Of both, as a reused run may need nothing but another evaluation.
        """
        for queue in QUEUES:
            if not self._tell(f"heddle.{queue}", queue):
                return

    def collect(self) -> None:
        """Tell a worker that something may be left that nothing refers to."""
        self._tell("heddle.collect", "control")

    def _tell(self, task: str, queue: str) -> bool:
        """Send one message, if there is a broker; whether it was sent."""
        if not self._enabled:
            return False
        try:
            self._app.send_task(task, queue=queue, expires=EXPIRES_SECONDS, retry=False)
        except OperationalError as error:
            # What is to be done is written down, and looked for now and then without a hint.
            logger.warning("no hint sent: %s", error)
            return False
        return True

    def reachable(self) -> bool:
        """Whether the broker answers."""
        if not self._enabled:
            return False
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=0, timeout=PATIENCE_SECONDS)
        except OperationalError:
            return False
        return True
