"""Readers of the public files of the field, by name."""
