"""Optimizers: one file each, with functions on rows of numbers, one row for each run."""
