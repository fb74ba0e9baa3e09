"""Kinds of nodes that run sites."""

from enum import Enum


class Nodes(Enum):
    """Kind of the nodes that run the sites; it decides how a missing reply is read."""

    here = "here"
    """The server's own process, one site after the other: every request is answered, and nobody can be hurried."""
    simulated = "simulated"
    """Processes that sites take turns in: silence means nothing yet, but a process may hang or end."""
    real = "real"
    """A process per site, somewhere else: it may be slow, hang, go away and come back."""
