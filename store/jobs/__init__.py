"""The life of a job: demand, claim, heartbeat, preemption, its end or the reaper, and events."""
