"""A federation across real sites: what is issued to each party, and what each party checks before it starts."""
