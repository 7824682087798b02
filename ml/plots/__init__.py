"""Pictures of models, training, studies and data sets, with a file for each kind of picture."""
