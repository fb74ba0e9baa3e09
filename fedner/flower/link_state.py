"""Flower's database at the server: the registered nodes and the runs."""

from dataclasses import dataclass

from flwr.common.constant import HEARTBEAT_DEFAULT_INTERVAL, HEARTBEAT_PATIENCE, NOOP_ACCOUNT_NAME, NOOP_FLWR_AID
from flwr.proto.node_pb2 import NodeInfo
from flwr.server.superlink.linkstate import LinkState
from flwr.supercore.constant import NodeStatus
from flwr.supercore.sql_mixin import SqlMixin
from sqlalchemy import Engine

from fedner.flower.runs import SubmittedRun, submitted_run

__all__ = [
    "OFFLINE_SECONDS",
    "LinkState",
    "Node",
    "engines",
    "newest_runs",
    "register_node",
    "registered_nodes",
    "remove_node",
    "site_of_key",
]

OFFLINE_SECONDS = HEARTBEAT_DEFAULT_INTERVAL * HEARTBEAT_PATIENCE
"""How long a node that was killed still counts as connected, and its successor is turned away."""


@dataclass(frozen=True)
class Node:
    """A registered node; `seen` is its last heartbeat in seconds of the Unix epoch, None before the first."""

    number: int
    name: str
    public_key: bytes
    online: bool
    seen: float | None


def registered_nodes(state: LinkState) -> list[Node]:
    """Return the nodes that may connect."""
    nodes = state.get_node_info(owner_aids=[NOOP_FLWR_AID])
    return [_node(node) for node in nodes if node.status != NodeStatus.UNREGISTERED]


def site_of_key(state: LinkState, key: bytes) -> str | None:
    """Return the name that a public key (PEM) is registered under; None if it is not."""
    node = state.get_node_id_by_public_key(key)
    infos = [] if node is None else state.get_node_info(node_ids=[node], owner_aids=[NOOP_FLWR_AID])
    return infos[0].name if infos else None


def register_node(state: LinkState, name: str, key: bytes) -> None:
    """Let a node with a public key (PEM) connect.

    Raises:
        ValueError: the key was registered before, be it that it was removed since.
    """
    state.create_node(NOOP_FLWR_AID, NOOP_ACCOUNT_NAME, key, HEARTBEAT_DEFAULT_INTERVAL, name=name)


def remove_node(state: LinkState, number: int) -> None:
    """Shut a node out, and its key for good."""
    state.delete_node(NOOP_FLWR_AID, number)


def newest_runs(state: LinkState, limit: int) -> list[SubmittedRun]:
    """Return the runs that were submitted last, the newest first."""
    runs = state.get_run_info(flwr_aids=[NOOP_FLWR_AID], order_by="pending_at", limit=limit, ascending=False)
    return [
        submitted_run(run.run_id, str(run.override_config.get("config", "")), run.status, run.pending_at)
        for run in runs
    ]


def engines(state: LinkState) -> list[Engine]:
    """Return what Flower reaches SQLite through: for its tables, and for pieces of messages."""
    found: list[Engine] = []
    for database in (state, getattr(state, "object_store", None)):
        assert isinstance(database, SqlMixin)
        engine = database._engine  # pyright: ignore[reportPrivateUsage]
        assert engine is not None
        found.append(engine)
    return found


def _node(node: NodeInfo) -> Node:
    online = node.status == NodeStatus.ONLINE
    # Flower notes until when a node counts as online; its last heartbeat was two intervals before.
    seen = node.online_until - (HEARTBEAT_PATIENCE * node.heartbeat_interval if online else 0.0)
    return Node(node.node_id, node.name, node.public_key, online, seen if node.online_until else None)
