"""Plots over HTTP: their params, their sources, and their files."""
