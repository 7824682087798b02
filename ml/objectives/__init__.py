"""Training objectives: one file each, and the posteriors and terms that they are made of."""
