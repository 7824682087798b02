"""Metrics that match latents with factors, from identifiability theory and from other fields."""
