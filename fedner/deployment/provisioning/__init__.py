"""Kits, keys and certificates: what the coordinator issues to each party."""
