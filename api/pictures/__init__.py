"""Plots over HTTP: their params, what they are drawn from, and how they are sent."""
