"""Hints to workers that there may be work. A hint carries nothing and may be lost."""

from __future__ import annotations

import logging
import threading
import time

from celery import Celery
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 1.0
QUEUES = ("train", "evaluate")
GATHER_SECONDS = 0.05
"""The pause after a hint. Requests that ask for one meanwhile share the next."""


class Hints:
    """Sends hints to the workers' queues. Without a broker it does nothing.

    One thread sends all hints, so that no request waits for a broker that hangs. Requests that ask
    for a hint while the thread sends, or soon after, share the next one.
    """

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
        self._wanted = threading.Event()
        if self._enabled:
            threading.Thread(target=self._keep_sending, name="hints", daemon=True).start()

    def send(self) -> None:
        """Send a hint to each queue soon.

        Both queues get one, since a reused run may need only another evaluation.
        """
        self._wanted.set()

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

    def _keep_sending(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                for queue in QUEUES:
                    self._app.send_task(f"heddle.{queue}", queue=queue, retry=False)
            # No error matters here: the work is in the database, and the reaper sends hints too.
            except Exception as error:
                logger.warning("no hint sent: %s", error)
            # Under a crowd of requests, sending hint after hint took a tenth of the processor.
            time.sleep(GATHER_SECONDS)
