"""Heddle from Python and from the command line: speaks HTTP, and imports none of the service.

import heddle

experiment = heddle.connect().submit("sweep.yaml").wait()
"""

from heddle.client import Client, Experiment, ExperimentFailed, Run, connect
from heddle.errors import HeddleError, ServerUnreachable

__all__ = [
    "Client",
    "Experiment",
    "ExperimentFailed",
    "HeddleError",
    "Run",
    "ServerUnreachable",
    "connect",
]
