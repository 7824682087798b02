"""Optimizers: one file each, pure functions on named tensors."""
