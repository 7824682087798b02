"""The REST service: it parses requests, asks the store, and answers. It trains nothing."""
