"""Terms that several objectives share."""
