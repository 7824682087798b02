"""Heddle from Python and from the command line, which reach the server over HTTP alone.

import heddle

experiment = heddle.connect().submit("sweep.yaml").wait()
"""

from heddle.client.client import Client, connect
from heddle.client.resources import Experiment, ExperimentFailed, Run
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
