"""Scores of a trained model or of arrays: encoding, scoring, advice, audit."""
