"""A federation on one machine: the in-process Grid and its worker processes."""
