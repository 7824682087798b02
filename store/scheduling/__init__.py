"""Which job goes next, and when: the fair share, the queue, the pace of jobs, forecasts."""
