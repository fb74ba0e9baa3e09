"""Flower's own simulation runtime (Ray), as a server app meets it."""

from flwr.serverapp import Grid
from flwr.superlink.grid import InMemoryGrid


def is_simulated(grid: Grid) -> bool:
    """Say whether Flower's simulation runtime runs the nodes of a grid."""
    return isinstance(grid, InMemoryGrid)
