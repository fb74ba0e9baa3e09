"""Flower's identity of a process, without which no message can be made, and the one run of a simulation."""

from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity

__all__ = ["RUN_ID", "SERVER_NODE_ID", "Run", "identify_server", "simulated_run"]

RUN_ID = 1
SERVER_NODE_ID = 1


def identify_server() -> None:
    """Tell Flower that this process is the server of a run; its own runtimes do so themselves."""
    TaskIdentity.task_id = 1
    TaskIdentity.run_id = RUN_ID
    TaskIdentity.node_id = SERVER_NODE_ID


def simulated_run() -> Run:
    """Return what a `Grid` has to say of the run that it serves."""
    return Run.create_empty(RUN_ID)
