"""What the process holds between requests: stores, models, lanes, hints, event streams."""
