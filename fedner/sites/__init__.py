"""A federation across real sites: what is issued to each party, what each checks, and the processes that each runs."""
