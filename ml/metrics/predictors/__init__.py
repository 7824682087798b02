"""Predictors of factors from codes, which some metrics fit."""
