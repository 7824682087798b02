"""Who goes next, and when: fair share, forecasts, the queue."""
