"""What describes a run: the spec with its parts, and the identities that follow from it."""
