"""Codes and factors as arrays: rows, files of them, what they hold, how uncertain they are."""
