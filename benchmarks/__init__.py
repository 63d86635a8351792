"""Measurements: each against a naive reference, in the same run."""
