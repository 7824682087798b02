"""The training loop and what it stands on: feed, state, sampling, packing, snapshots."""
