"""How long replies are waited for, and what it means when none comes: pure decisions, without Flower or clocks."""

from dataclasses import dataclass
from enum import Enum

from fedner.config import FederationConfig
from fedner.protocol.messages import Failure
from fedner.protocol.nodes import Nodes


class Reached(Enum):
    """How far a phase has come."""

    too_few = 0
    quorum = 1
    target = 2
    """As many sites as were wanted; whoever was asked besides them is not needed any more."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Limits in seconds; None, or 0 for `grace`, sets none.

    Args:
        silence: once a reply has come, how long to wait for the next.
        deadline: how long to wait for all of them together.
        grace: how much longer while they are too few.
        straggler: once they are a quorum, how long to wait for the others.
    """

    silence: float | None = None
    deadline: float | None = None
    grace: float = 0.0
    straggler: float | None = None


@dataclass(frozen=True, kw_only=True)
class Waited:
    """Seconds since the requests went out, since the last reply, and since there was a quorum; None before that."""

    asked: float
    last_reply: float | None
    quorum: float | None


def patience_for(config: FederationConfig, nodes: Nodes, phase: str) -> Patience:
    """Return the limits of a phase; what a site alone decides on, how fast it is, must not decide in a simulation."""
    match nodes:
        case Nodes.here:
            return Patience()
        case Nodes.simulated:
            return Patience(deadline=config.deadline_seconds, grace=config.grace_seconds)
        case Nodes.real:
            # Scores are compared from round to round, so that they wait for every site as long as they may.
            straggler = config.straggler_seconds if phase == "train" else None
            return Patience(
                silence=config.wait_seconds,
                deadline=config.deadline_seconds,
                grace=config.grace_seconds,
                straggler=straggler,
            )


def give_up(patience: Patience, waited: Waited, reached: Reached) -> Failure | None:
    """Return why the missing replies are not waited for any longer, or None to go on."""
    if reached is Reached.target:
        return Failure("spare", "enough other sites were faster (federation.spares)")
    limit = patience.straggler
    if limit is not None and waited.quorum is not None and waited.quorum > limit:
        return Failure("silent", f"no reply within {limit:g} s of the quorum (federation.straggler_seconds)")
    limit = patience.deadline
    if limit is not None and waited.asked > limit + (patience.grace if reached is Reached.too_few else 0):
        graced = " and federation.grace_seconds" if waited.asked > limit + patience.grace > limit else ""
        return Failure("silent", f"no reply within {limit:g} s (federation.deadline_seconds{graced})")
    limit = patience.silence
    if limit is not None and waited.last_reply is not None and waited.last_reply > limit:
        return Failure("silent", f"no reply within {limit:g} s of the last one (federation.wait_seconds)")
    return None
