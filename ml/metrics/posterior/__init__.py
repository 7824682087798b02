"""Metrics of the posterior q(z|x) itself, which only a model gives."""
