"""Work under a lease: its heartbeat, log, checkpoints, files and end."""
