"""Reproducible numbers: draws, canonical text, and the environment that bits depend on."""
