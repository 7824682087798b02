"""What the process holds between requests: stores, models, pictures, queues, lanes, who waits."""
