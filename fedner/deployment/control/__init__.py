"""The coordinator's client of a server."""
