"""Architectures: one file each, a pair of encoder and decoder."""
