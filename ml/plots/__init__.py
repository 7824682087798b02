"""Pictures of models, training, studies and data sets: one file each, and what they share."""
