"""What a trained model is used for: generate, interpolate, compare, mix, judge images."""
