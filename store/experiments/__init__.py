"""Experiments and evaluations: submitted or run dry, where runs begin, cancelled, labelled."""
