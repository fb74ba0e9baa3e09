"""Timeouts of replies: pure functions of elapsed seconds, without Flower or clocks."""

from dataclasses import dataclass
from enum import Enum

from fedner.config import FederationConfig
from fedner.protocol.nodes import Nodes
from fedner.refusals import Refusal, RefusalCode, no_reply


class Reached(Enum):
    """Progress of a phase."""

    too_few = 0
    quorum = 1
    target = 2
    """As many sites as planned; replies of spares are not needed any more."""


@dataclass(frozen=True, kw_only=True)
class Timeouts:
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


def timeouts_for(config: FederationConfig, nodes: Nodes, waits_for_all: bool) -> Timeouts:
    """Return the limits of a phase; in a simulation the speed of a site must not decide whether it counts."""
    match nodes:
        case Nodes.here:
            return Timeouts()
        case Nodes.simulated:
            return Timeouts(deadline=config.deadline_seconds, grace=config.grace_seconds)
        case Nodes.real:
            straggler = None if waits_for_all else config.straggler_seconds
            return Timeouts(
                silence=config.wait_seconds,
                deadline=config.deadline_seconds,
                grace=config.grace_seconds,
                straggler=straggler,
            )


def give_up(timeouts: Timeouts, waited: Waited, reached: Reached) -> Refusal | None:
    """Return why to stop waiting for the missing replies, or None to wait on."""
    if reached is Reached.target:
        return no_reply(RefusalCode.spare, "enough other sites were faster (federation.spares)")
    limit = timeouts.straggler
    if limit is not None and waited.quorum is not None and waited.quorum > limit:
        return no_reply(RefusalCode.silent, f"no reply within {limit:g} s of the quorum (federation.straggler_seconds)")
    limit = timeouts.deadline
    if limit is not None and waited.asked > limit + (timeouts.grace if reached is Reached.too_few else 0):
        graced = " and federation.grace_seconds" if waited.asked > limit + timeouts.grace > limit else ""
        return no_reply(RefusalCode.silent, f"no reply within {limit:g} s (federation.deadline_seconds{graced})")
    limit = timeouts.silence
    if limit is not None and waited.last_reply is not None and waited.last_reply > limit:
        return no_reply(RefusalCode.silent, f"no reply within {limit:g} s of the last one (federation.wait_seconds)")
    return None
