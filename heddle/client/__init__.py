"""The client, which speaks HTTP alone: a connection, resources on it, and `Client` on top."""

from heddle.client.client import Client, connect

__all__ = ["Client", "connect"]
