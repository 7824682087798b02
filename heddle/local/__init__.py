"""Scoring and auditing files on this machine; the only room of the client that imports `ml`."""
