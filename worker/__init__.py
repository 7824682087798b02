"""The Celery application and its jobs: claim the best one, call `ml`, record what came of it."""
