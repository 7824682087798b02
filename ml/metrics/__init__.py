"""Metrics: one file each, pure functions on arrays."""
