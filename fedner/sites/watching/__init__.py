"""Watching a federation: what there is to see, who may see what of it, and how it is shown."""
