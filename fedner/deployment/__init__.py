"""A federation of real machines."""
