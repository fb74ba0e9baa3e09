"""The federation: what server and sites say, decide and keep, over Flower's Message API."""
