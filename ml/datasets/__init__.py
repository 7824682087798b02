"""Datasets: one file each, opened by name with `ml.dataset.dataset`."""
