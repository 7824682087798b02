"""Work under a lease: renewed by a heart, logged, its checkpoints and files, its end."""
