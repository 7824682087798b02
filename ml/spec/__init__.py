"""What a run is asked to be: the parts of its spec, the spec, and the identity it has from it."""
