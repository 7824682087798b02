"""Pictures of a run's training."""
