"""Metrics that hold a factor, or all others, fixed and look at which codes stay in place."""
