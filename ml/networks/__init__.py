"""The networks of a run as functions of stacked weights, and a trained model."""
