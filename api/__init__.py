"""The REST service: parses, asks the store, answers. It trains nothing."""
