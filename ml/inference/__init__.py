"""Using a trained model: generating, interpolating, comparing, mixing and judging images."""
