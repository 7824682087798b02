"""Mutual information of codes and factors, and what the metrics made of it share."""
