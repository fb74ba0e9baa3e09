"""Checks that a party runs before it starts."""
