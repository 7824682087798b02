"""Schedules of learning rates and coefficients: one file each."""
