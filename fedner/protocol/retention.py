"""How many rounds server and sites keep, so that a run can fall back to an earlier one."""

KEPT = 2
"""Newest checkpoints that are kept, beside the best; the older one is there in case the newest is damaged."""
