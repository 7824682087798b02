"""What clients send to a trained model, and what they get back: codes, images, numbers."""
