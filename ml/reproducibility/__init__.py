"""What makes numbers the same again: draws, canonical text, and what they depend on besides."""
