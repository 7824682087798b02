"""Scoring and auditing of files on this machine; the only room of the client that imports `ml`."""
