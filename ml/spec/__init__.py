"""What a run is asked to be: its spec, resolved, and the identity that follows from it."""
