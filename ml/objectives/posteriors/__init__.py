"""Posterior families: what the encoder's numbers mean."""
