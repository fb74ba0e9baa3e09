"""Server side of training: ask the sites for updates, aggregate those that pass validation, keep their statistics.

Replies are checked and folded one by one as they arrive and released at once; everything that is kept is keyed by site
and read in the order of names, so that nothing depends on which site was faster.
"""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flwr.app import Message

from fedner.protocol import phases, wire
from fedner.protocol.auxiliary import CONTROL
from fedner.protocol.messages import TrainReply, TrainRequest
from fedner.protocol.nodes import Nodes
from fedner.records.events import ReplyAccepted, RoundAggregated
from fedner.records.results import RoundRecord
from fedner.refusals import Refusal
from fedner.server import aggregation
from fedner.server.aggregation import AggregationState, Update
from fedner.server.checkpoints import Checkpoint, best_rounds_kept
from fedner.server.participation import missing_for_quorum, require_quorum, weigh
from fedner.server.session import Federation
from fedner.server.timeouts import Reached
from fedner.server.validation import PlainValidation, Validation, typical_update
from fedner.tensors import State, digest, num_bytes


@dataclass(frozen=True)
class Participants:
    """The sites of a round, and spares in the order in which they step in where one of those does not count."""

    sites: tuple[str, ...]
    spares: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TrainedRound:
    """A round after training and before scoring: its record so far, the next global state and its digest.

    `examples` counts the sentences that the sites trained on.
    """

    record: RoundRecord
    state: State = field(repr=False)
    state_digest: str
    memory: AggregationState = field(repr=False)
    examples: int


@dataclass(frozen=True, kw_only=True)
class _Accepted:
    """Statistics of an update that counts; `loss_sum` in nats over `words`, `norm` Euclidean, `seconds` wall time."""

    weight: float
    examples: int
    words: int
    loss_sum: float
    steps: int
    norm: float
    seconds: float
    num_bytes: int


@dataclass
class _Tally:
    """Which of the sites asked counted and which did not, without their tensors; `asked` grows as spares step in."""

    asked: int
    answers: int = 0
    accepted: dict[str, _Accepted] = field(default_factory=dict[str, _Accepted])
    refused: dict[str, Refusal] = field(default_factory=dict[str, Refusal])


def train_round(federation: Federation, number: int, participants: Participants, at: Checkpoint) -> TrainedRound:
    """Have the sites train from the checkpoint's state and aggregate every reply that passes validation.

    Raises:
        QuorumError: the usable replies are not enough.
        FederationError: they are fewer than the aggregation needs.
        RunDirectoryError: the disk has no room for them, where they have to be kept there.
    """
    control = at.memory.moments.get(CONTROL)
    request = TrainRequest(
        header=federation.header(number),
        config=federation.config_text,
        state=at.state_digest,
        arrays=at.state,
        best_rounds=best_rounds_kept(at.rounds),
        auxiliary={} if control is None else {CONTROL: control},
    )
    config = federation.config
    validation = PlainValidation(
        request=request,
        training=config.training,
        declared=federation.declared,
        typical=typical_update(at.rounds),
        factor=config.federation.max_update_norm,
    )
    tally = _Tally(len(participants.sites))
    replies = _replies(federation, request, participants, tally)
    updates = _usable(federation, request, replies, tally, validation)
    num_sites = len(federation.declared)
    memory, after = aggregation.step(config.aggregation, at.memory, at.state, updates, num_sites, federation.spill)
    accepted = dict(sorted(tally.accepted.items()))
    counted = accepted.values()
    sent = num_bytes(request.arrays) + sum(num_bytes(state) for state in request.auxiliary.values())
    record = RoundRecord(
        round=number,
        dev=None,
        seconds=0.0,
        bytes_up=sum(each.num_bytes for each in counted),
        bytes_down=sent * tally.asked,
        sites=tuple(accepted),
        weights={site: each.weight for site, each in accepted.items()},
        refused=dict(sorted(tally.refused.items())),
        train_loss=sum(each.loss_sum for each in counted) / sum(each.words for each in counted),
        update_norm=statistics.median(each.norm for each in counted),
        update_steps=statistics.median(each.steps for each in counted),
    )
    trained = TrainedRound(
        record=record,
        state=after,
        state_digest=digest(after),
        memory=memory,
        examples=sum(each.examples for each in counted),
    )
    federation.report(
        RoundAggregated(
            round=number, sites=record.sites, train_loss=record.train_loss or 0.0, state=trained.state_digest
        )
    )
    return trained


def _replies(
    federation: Federation, request: TrainRequest, participants: Participants, tally: _Tally
) -> Iterator[tuple[str, Message | Refusal]]:
    """Ask the participants, and spares beside them or after them, and yield their replies."""
    number, config, declared = request.header.round, federation.config.federation, federation.declared
    target = len(participants.sites)

    def reached() -> Reached:
        if missing_for_quorum(tally.accepted, declared, config):
            return Reached.too_few
        return Reached.target if participants.spares and len(tally.accepted) >= target else Reached.quorum

    if federation.sites.kind is Nodes.real:
        tally.asked += len(participants.spares)
        everybody = (*participants.sites, *participants.spares)
        yield from federation.ask(everybody, wire.train_request(request), phases.TRAIN, number, reached)
        return
    # Nobody is faster than another in a simulation, so that the same sites count in every run of it.
    yield from federation.ask(participants.sites, wire.train_request(request), phases.TRAIN, number, reached)
    left = list(participants.spares)
    while left and (short := target - len(tally.accepted)) > 0:
        step_in, left = left[:short], left[short:]
        tally.asked += len(step_in)
        yield from federation.ask(step_in, wire.train_request(request), phases.TRAIN, number, reached)


def _usable(
    federation: Federation,
    request: TrainRequest,
    replies: Iterable[tuple[str, Message | Refusal]],
    tally: _Tally,
    validation: Validation,
) -> Iterator[Update]:
    """Yield the replies that count; one that does not is refused by name and the round goes on without it."""
    config = federation.config.federation
    for site, message in replies:
        tally.answers += 1
        checked = _checked(validation, site, message)
        del message
        federation.progress.advanced(tally.answers, tally.asked, "sites")
        if isinstance(checked, Refusal):
            tally.refused[site] = federation.refuse(request.header.round, phases.TRAIN, site, checked)
            continue
        reply, norm = checked
        accepted = _accept(federation, site, reply, norm)
        tally.accepted[site] = accepted
        update = Update(
            site=site, arrays=reply.arrays, weight=accepted.weight, steps=reply.steps, auxiliary=reply.auxiliary
        )
        del checked, reply
        yield update
        del update
    require_quorum(request.header.round, tally.accepted, federation.declared, config, tally.refused)


def _checked(validation: Validation, site: str, message: Message | Refusal) -> tuple[TrainReply, float] | Refusal:
    """Return a reply that counts and the norm of its update, or why it does not count."""
    reply = message if isinstance(message, Refusal) else phases.TRAIN.read(message)
    if isinstance(reply, Refusal):
        return reply
    norm = validation.check(site, reply)
    return norm if isinstance(norm, Refusal) else (reply, norm)


def _accept(federation: Federation, site: str, reply: TrainReply, norm: float) -> _Accepted:
    accepted = _Accepted(
        weight=weigh(reply, federation.config.federation),
        examples=reply.num_examples,
        words=reply.num_words,
        loss_sum=reply.loss_sum,
        steps=reply.steps,
        norm=norm,
        seconds=reply.seconds,
        num_bytes=num_bytes(reply.arrays) + sum(num_bytes(state) for state in reply.auxiliary.values()),
    )
    federation.report(
        ReplyAccepted(
            round=reply.header.round,
            site=site,
            examples=accepted.examples,
            weight=accepted.weight,
            loss=accepted.loss_sum / accepted.words,
            steps=accepted.steps,
            norm=norm,
            seconds=accepted.seconds,
        )
    )
    return accepted
