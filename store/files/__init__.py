"""Folders of files and their content: artifacts by name, checkpoints, training curves."""
