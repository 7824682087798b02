"""Datasets: one file each, opened by name with `ml.datasets.protocol.dataset`."""
