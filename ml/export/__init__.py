"""Exporting a run as a folder that can be used without Heddle."""
