"""Presets: whole experiments of the literature, each in a YAML file of this folder."""
