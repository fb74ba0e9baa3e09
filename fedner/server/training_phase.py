"""The phases of a round, as the server sees them: train, evaluate, and what each leaves behind as sums.

Replies are checked and folded one by one as they arrive and let go of at once; everything that is kept is keyed by site
and read in the order of names, so that nothing depends on who was faster.
"""

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from flwr.app import Message

from fedner.protocol import wire
from fedner.protocol.budget import most_examples
from fedner.protocol.messages import Failure, TrainReply, TrainRequest
from fedner.protocol.nodes import Nodes
from fedner.records.events import ReplyAccepted, RoundAggregated
from fedner.server import aggregation
from fedner.server.aggregation import AggregationState, Update
from fedner.server.checkpoints import Checkpoint, best_rounds_kept
from fedner.server.participation import missing_for_quorum, require_quorum, weigh
from fedner.server.session import Federation
from fedner.server.timeouts import Reached
from fedner.server.validation import (
    Limits,
    UpdateStatistics,
    max_control_change,
    max_step_norm,
    recent_updates,
    validate_update,
)
from fedner.tensors import State, digest, num_bytes


@dataclass(frozen=True)
class Chosen:
    """The sites that make a round, and others in the order in which they step in where one of those does not count."""

    sites: tuple[str, ...]
    spares: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Sums over the sites that counted in a training phase, and the digest of the state they led to.

    `loss` is per word, in nats; `update_norm` and `update_steps` are medians over the sites.
    """

    state_digest: str
    asked: int
    sites: tuple[str, ...]
    weights: dict[str, float]
    refused: dict[str, str]
    examples: int
    loss: float
    bytes_up: int
    update_norm: float
    update_steps: float


@dataclass
class _Tally:
    """Who counted and who did not of the sites asked, without their tensors; `asked` grows by spares that step in."""

    asked: int
    answers: int = 0
    accepted: dict[str, ReplyAccepted] = field(default_factory=dict[str, ReplyAccepted])
    loss_sums: dict[str, float] = field(default_factory=dict[str, float])
    words: int = 0
    bytes_up: int = 0
    refused: dict[str, str] = field(default_factory=dict[str, str])


def train_round(
    federation: Federation,
    number: int,
    chosen: Chosen,
    at: Checkpoint,
) -> tuple[Trained, AggregationState, State]:
    """Let the sites train from where the run stands and aggregate what they send back, as far as it is plausible.

    Raises:
        QuorumError: the usable replies are not enough.
        FederationError: they are fewer than the aggregation needs.
        RunDirectoryError: the disk has no room for them, where they have to be kept there.
    """
    request = TrainRequest(
        header=federation.header(number),
        config=federation.config_text,
        arrays=at.state,
        best_rounds=best_rounds_kept(at.rounds),
        control=at.memory.moments.get(aggregation.CONTROL),
    )
    tally = _Tally(len(chosen.sites))
    replies = _replies(federation, request, chosen, tally)
    updates = _usable(federation, request, replies, tally, recent_updates(at.rounds))
    rule, num_sites = federation.config.aggregation, len(federation.declared)
    memory, after = aggregation.step(rule, at.memory, at.state, updates, num_sites, federation.spill)
    names = tuple(sorted(tally.accepted))
    loss = sum(tally.loss_sums[site] for site in names) / tally.words
    trained = Trained(
        state_digest=digest(after),
        asked=tally.asked,
        sites=names,
        weights={site: tally.accepted[site].weight for site in names},
        refused=dict(sorted(tally.refused.items())),
        examples=sum(event.examples for event in tally.accepted.values()),
        loss=loss,
        bytes_up=tally.bytes_up,
        update_norm=statistics.median(event.norm for event in tally.accepted.values()),
        update_steps=statistics.median(event.steps for event in tally.accepted.values()),
    )
    federation.tell(RoundAggregated(round=number, sites=names, train_loss=loss, state=trained.state_digest))
    return trained, memory, after


def _replies(
    federation: Federation, request: TrainRequest, chosen: Chosen, tally: _Tally
) -> Iterator[tuple[str, Message | Failure]]:
    """Ask the chosen sites, and spares beside them or after them, and yield what they answer."""
    number, config, declared = request.header.round, federation.config.federation, federation.declared
    target = len(chosen.sites)

    def reached() -> Reached:
        if missing_for_quorum(tally.accepted, declared, config):
            return Reached.too_few
        return Reached.target if chosen.spares and len(tally.accepted) >= target else Reached.quorum

    if federation.sites.kind is Nodes.real:
        tally.asked += len(chosen.spares)
        everybody = (*chosen.sites, *chosen.spares)
        yield from federation.ask(everybody, wire.train_request(request), "train", number, reached)
        return
    # Nobody is faster than another in a simulation, so that the same sites count in every run of it.
    yield from federation.ask(chosen.sites, wire.train_request(request), "train", number, reached)
    left = list(chosen.spares)
    while left and (short := target - len(tally.accepted)) > 0:
        step_in, left = left[:short], left[short:]
        tally.asked += len(step_in)
        yield from federation.ask(step_in, wire.train_request(request), "train", number, reached)


def _usable(
    federation: Federation,
    request: TrainRequest,
    replies: Iterable[tuple[str, Message | Failure]],
    tally: _Tally,
    typical: UpdateStatistics | None,
) -> Iterator[Update]:
    """Yield the replies that count; one that does not is refused by name and the round goes on without it."""
    config = federation.config
    reach, factor = max_step_norm(config.training, request.arrays), config.federation.max_update_norm
    control = max_control_change(config.training)
    for site, message in replies:
        tally.answers += 1
        reply = message if isinstance(message, Failure) else wire.read_train_reply(message)
        del message
        federation.progress.advanced(tally.answers, tally.asked, "sites")
        examples = most_examples(federation.declared[site], config.training)
        limits = Limits(examples=examples, reach=reach, typical=typical, factor=factor, control=control)
        norm = reply if isinstance(reply, Failure) else validate_update(reply, request, limits)
        if isinstance(reply, Failure) or isinstance(norm, Failure):
            federation.refuse(request.header.round, "train", site, str(norm), tally.refused)
            continue
        weight = weigh(reply, config.federation)
        update = Update(site=site, arrays=reply.arrays, weight=weight, steps=reply.steps, control=reply.control)
        _accept(federation, reply, update, norm, tally)
        del reply
        yield update
        del update
    require_quorum(request.header.round, tally.accepted, federation.declared, config.federation, tally.refused)


def _accept(federation: Federation, reply: TrainReply, update: Update, norm: float, tally: _Tally) -> None:
    event = ReplyAccepted(
        round=reply.header.round,
        site=update.site,
        examples=reply.num_examples,
        weight=update.weight,
        loss=reply.loss_sum / reply.num_words,
        steps=reply.steps,
        norm=norm,
        seconds=reply.seconds,
    )
    federation.tell(event)
    tally.accepted[update.site] = event
    tally.loss_sums[update.site] = reply.loss_sum
    tally.words += reply.num_words
    tally.bytes_up += num_bytes(reply.arrays) + num_bytes(reply.control or {})
