"""Mutual information of codes and factors, and the base of the metrics that are made of it."""
