"""Heddle from Python and from the command line: speaks HTTP, and imports none of the service.

import heddle

experiment = heddle.connect().submit("sweep.yaml").wait()
"""

from heddle.client import Client, connect
from heddle.errors import HeddleError, ServerUnreachable
from heddle.work import Experiment, ExperimentFailed, Run

__all__ = [
    "Client",
    "Experiment",
    "ExperimentFailed",
    "HeddleError",
    "Run",
    "ServerUnreachable",
    "connect",
]
