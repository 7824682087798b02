"""Metrics: one file each, pure functions on arrays, and what several of them share."""
