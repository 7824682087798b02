"""Metrics that fit a predictor of the factors from the codes."""
