"""Data sets that we draw ourselves."""
