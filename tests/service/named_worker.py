"""The worker's own application on a host with a name: `celery -A tests.service.named_worker`."""

from __future__ import annotations

import os
import socket

_name = os.environ["HOST_NAME"]
socket.gethostname = lambda: _name

from worker.app import app  # noqa: E402 - Celery names the worker after the host
from worker.process import stores  # noqa: E402

# The tests may run in a container. What stands for a host is a machine all the same.
stores._IDS_OF_MACHINE = stores._PROCESS_IDS.stat().st_ino

__all__ = ["app"]
