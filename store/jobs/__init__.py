"""The life of a job: demanded, claimed, beating, preempted, finished or reaped, and told of."""
