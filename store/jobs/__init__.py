"""The life of a job: claimed, beating, finished, taken back, and what is told of it."""
