"""The networks of runs as functions of stacked weights, and the trained model."""
