"""A run as a folder that needs no Heddle."""
