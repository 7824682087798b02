"""What every metric gives in known worlds, and which properties of a good metric it fails."""
