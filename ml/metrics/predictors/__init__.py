"""Predictors of factors from codes, which some metrics are made of."""
