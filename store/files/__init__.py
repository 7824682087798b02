"""Folders of files and what lies in them: artifacts by their names, checkpoints, curves."""
