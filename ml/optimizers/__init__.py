"""Optimizers: one file each, functions on rows of numbers, a row a run."""
