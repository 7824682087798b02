"""Codes and factors as arrays: rows, files of them, what latents are called, and uncertainty."""
