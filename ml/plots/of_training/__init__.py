"""Pictures of how a run was trained."""
