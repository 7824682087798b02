"""Experiments and evaluations: submit, reuse, cancel, label."""
