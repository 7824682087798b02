"""The client: HTTP alone, a connection below, resources on it, `Client` on top."""

from heddle.client.client import Client, connect

__all__ = ["Client", "connect"]
