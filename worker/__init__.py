"""The Celery application and its tasks: claim the next job, call `ml`, record the result."""
