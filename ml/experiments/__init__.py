"""From an experiment to its runs: sweeps, and runs that go on from others."""
