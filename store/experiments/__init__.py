"""Experiments and evaluations: submissions and dry runs, where runs begin, cancelling, labels."""
