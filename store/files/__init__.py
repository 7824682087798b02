"""The object folder and what lies in it: artifacts, checkpoints, curves."""
