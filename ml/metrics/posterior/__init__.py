"""Metrics of the posteriors q(z|x), and of how codes are distributed, beside any factor."""
