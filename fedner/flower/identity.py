"""Flower's identity of a process: without one, no message can be made."""

from flwr.supercore.task_identity import TaskIdentity

RUN_ID = 1


SERVER_NODE_ID = 1


def identify_server() -> None:
    """Tell Flower that this process is the server of a run; without it no message can be made.

    `TaskIdentity` is internal to Flower and set by its own runtimes; this is the one place where we set it.
    """
    TaskIdentity.task_id = 1
    TaskIdentity.run_id = RUN_ID
    TaskIdentity.node_id = SERVER_NODE_ID
