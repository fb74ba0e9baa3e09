"""Every import of Flower's internals, one file for each purpose."""
