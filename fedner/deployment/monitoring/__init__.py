"""Status of runs and sites, in the terminal and on a page, and who may see it."""
