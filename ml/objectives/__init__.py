"""Training objectives: one file each, with the posteriors and terms that they share."""
