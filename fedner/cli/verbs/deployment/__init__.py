"""Verbs of a federation of real machines."""
