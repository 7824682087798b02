"""The client: HTTP alone, a connection below, resources on it, `Client` on top."""
