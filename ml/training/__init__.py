"""The training loop and its parts: feed, state, sampling, packing, snapshots."""
