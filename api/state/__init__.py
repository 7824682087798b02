"""The process's state between requests: stores, models, pictures, queues, lanes, held requests."""
