"""Requests to a trained model and its answers: codes, images, numbers."""
