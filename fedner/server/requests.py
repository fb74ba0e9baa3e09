"""The server's request channel: send requests, yield replies as they arrive, report who was silent.

A reply counts once, for the request it answers, while that request is open. One that comes twice, too late or unasked
is reported and changes nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedner.audit.entries import Received, Sent
from fedner.audit.trail import Trail
from fedner.errors import FederationError
from fedner.flower.simulation_grid import is_simulated
from fedner.protocol.manifest import manifest
from fedner.protocol.nodes import Nodes
from fedner.protocol.packing import unwrap, wrap
from fedner.protocol.phases import AnyPhase
from fedner.records.events import Event, ReplyIgnored
from fedner.refusals import Refusal, RefusalCode, no_reply, unusable
from fedner.server.timeouts import Reached, Timeouts, Waited, give_up

POLL_SECONDS = 0.05
LONGEST_POLL_SECONDS = 1.0
POLL_SHARE = 0.02
"""Polling interval as a share of the time waited: in rounds of minutes, 20 polls a second only keep the server busy."""
PULLED_AT_ONCE = 4
"""Most replies in the server's memory at once, however many sites answer at the same moment."""
LATE_SECONDS = 3600.0
"""Seconds after a request for which a late reply is still polled; Flower forgets a request after hours."""

GONE = no_reply(RefusalCode.gone, "its node has left the federation")


@runtime_checkable
class TellsNodes(Protocol):
    """A grid of fedner's own, which knows the kind of its nodes."""

    @property
    def nodes(self) -> Nodes:
        """Kind of the nodes."""
        ...


def nodes_of(grid: Grid) -> Nodes:
    """Return the kind of a grid's nodes; Flower's in-memory grid belongs to its simulation runtime."""
    if isinstance(grid, TellsNodes):
        return grid.nodes
    return Nodes.simulated if is_simulated(grid) else Nodes.real


@dataclass
class _Request:
    """A request that was sent, and when; `answered` once its reply has been yielded."""

    site: str
    phase: str
    round: int
    sent: float
    answered: bool = False


class RequestChannel:
    """Sends requests to sites and collects their replies.

    Args:
        grid: Flower's connection to the nodes.
        report: receives an event for every reply that must not count.
        trail: records sizes and digests of everything sent and received; None keeps no such record.
    """

    def __init__(self, grid: Grid, report: Callable[[Event], None], trail: Trail | None = None) -> None:
        self._grid = grid
        self._report = report
        self._trail = trail
        self._requests: dict[str, _Request] = {}

    def ask(
        self, nodes: Mapping[str, int], content: RecordDict, phase: AnyPhase, round_number: int,
        timeouts: Timeouts, reached: Callable[[], Reached],
    ) -> Iterator[tuple[str, Message | Refusal]]:  # fmt: skip
        """Send the same content to some sites and yield each one's reply, in order of arrival.

        Args:
            nodes: site -> node id; the sites to ask.
            content: the request.
            phase: the phase.
            round_number: of which round.
            timeouts: how long to wait.
            reached: returns how far the replies yielded so far have brought the phase.
        """
        waiting = self._send(nodes, content, phase, round_number)
        del content
        for site in sorted(nodes.keys() - set(waiting.values())):
            yield site, GONE
        started, last, quorum = time.monotonic(), None, None
        reason: Refusal | None = None
        while waiting and reason is None:
            replies = self._arrived(waiting)
            came = bool(replies)
            while replies:
                reply = replies.pop(0)
                said = _unwrapped(reply)
                site = self._taken(reply, waiting)
                if site is not None:
                    last = time.monotonic()
                    yield site, said
                del reply, said
                if reached() is not Reached.too_few and quorum is None:
                    quorum = time.monotonic()
            if came and reached() is not Reached.target:
                continue  # more may be there already
            waited = Waited(asked=_since(started) or 0.0, last_reply=_since(last), quorum=_since(quorum))
            reason = give_up(timeouts, waited, reached())
            if reason is None:
                time.sleep(min(LONGEST_POLL_SECONDS, max(POLL_SECONDS, POLL_SHARE * waited.asked)))
        for site in waiting.values():
            yield site, reason or GONE

    def _send(
        self, nodes: Mapping[str, int], content: RecordDict, phase: AnyPhase, round_number: int
    ) -> dict[str, str]:
        """Send to all; return message id -> site for those that Flower took."""
        order = sorted(nodes)
        sent = wrap(content) if nodes_of(self._grid) is Nodes.real else content
        messages = [Message(sent, nodes[site], phase.message_type, group_id=str(round_number)) for site in order]
        identities = list(self._grid.push_messages(messages))
        if len(identities) != len(order):
            raise FederationError(
                f"round {round_number}: Flower took none of the {phase.name} requests; its log says why, most often "
                "that they are too large for the SuperLink"
            )
        waiting = {identity: site for identity, site in zip(identities, order, strict=True) if identity}
        now = time.monotonic()
        self._requests = {known: one for known, one in self._requests.items() if now - one.sent < LATE_SECONDS}
        for identity, site in waiting.items():
            self._requests[identity] = _Request(site, phase.name, round_number, now)
        if self._trail is not None:
            self._trail.append(_sent(phase.name, round_number, {site: nodes[site] for site in order}, waiting, content))
        return waiting

    def _arrived(self, waiting: Mapping[str, str]) -> list[Message]:
        """Return the replies that have arrived, to open requests and to those given up less than an hour ago."""
        now = time.monotonic()
        late = [
            identity
            for identity, request in self._requests.items()
            if identity not in waiting and not request.answered and now - request.sent < LATE_SECONDS
        ]
        open_ids = [*waiting, *late]
        if isinstance(self._grid, TellsNodes):  # ours hands over one at a time
            return list(self._grid.pull_messages(open_ids))
        for start in range(0, len(open_ids), PULLED_AT_ONCE):
            found = list(self._grid.pull_messages(open_ids[start : start + PULLED_AT_ONCE]))
            if found:
                return found
        return []

    def _taken(self, reply: Message, waiting: dict[str, str]) -> str | None:
        """Return the site whose open request this answers; report any other reply and return None."""
        identity = reply.metadata.reply_to_message_id
        site = waiting.pop(identity, None)
        request = self._requests.get(identity)
        if request is None:
            self._report(ReplyIgnored(round=0, phase="", site="", reason="unasked: it answers no request of this run"))
            return None
        again, request.answered = request.answered, True
        if self._trail is not None:
            self._trail.append(_received(request, reply))
        if site is not None:
            return site
        # That a node was lost after its request had been given up is no reply.
        if again or not reply.has_error():
            seconds = time.monotonic() - request.sent
            reason = "twice: the site had answered already" if again else f"late: it came after {seconds:.0f} s"
            self._report(ReplyIgnored(round=request.round, phase=request.phase, site=request.site, reason=reason))
        return None


def _unwrapped(reply: Message) -> Message | Refusal:
    """Unpack a reply in place and return it, or the refusal of one that cannot be unpacked."""
    if not reply.has_error():
        try:
            reply.content = unwrap(reply.content)
        except FederationError as error:
            return unusable(error.code, str(error))
    return reply


def _sent(
    phase: str, round_number: int, nodes: Mapping[str, int], waiting: Mapping[str, str], content: RecordDict
) -> Sent:
    held = manifest(content)
    return Sent(
        phase=phase,
        round=round_number,
        nodes={site: str(node) for site, node in nodes.items()},
        messages={site: identity for identity, site in waiting.items()},
        num_bytes=held.num_bytes,
        digest=held.digest,
    )


def _received(request: _Request, reply: Message) -> Received:
    # A reply that says that Flower lost the node has no content.
    held = manifest(RecordDict() if reply.has_error() else reply.content)
    return Received(
        phase=request.phase,
        round=request.round,
        site=request.site,
        message=reply.metadata.reply_to_message_id,
        tensors=len(held.tensors),
        values=len(held.values),
        num_bytes=held.num_bytes,
        digest=held.digest,
    )


def _since(moment: float | None) -> float | None:
    return None if moment is None else time.monotonic() - moment
