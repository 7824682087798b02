"""Metrics: one file each, as pure functions on arrays, and the folders that several share."""
