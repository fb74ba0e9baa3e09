"""The phases of a round, as the server sees them: train, evaluate, and what each leaves behind as sums.

Replies are checked and folded one by one as they arrive and let go of at once; everything that is kept is keyed by site
and read in the order of names, so that nothing depends on who was faster.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict

from fedner.config import Config, FederationConfig
from fedner.data.labels import LabelContract
from fedner.federation import aggregation, wire
from fedner.federation.aggregation import AggregationState, Spill, Update
from fedner.federation.checkpoints import Checkpoint, best_rounds_kept
from fedner.federation.events import Event, ReplyAccepted, ReplyRefused, RoundAggregated
from fedner.federation.exchange import Mail
from fedner.federation.members import Members
from fedner.federation.messages import EvaluateReply, EvaluateRequest, Failure, Header, TrainReply, TrainRequest
from fedner.federation.patience import Nodes, Reached, patience_for
from fedner.federation.rounds import (
    Limits,
    Typical,
    check_header,
    judge,
    missing_for_quorum,
    most_examples,
    reach_of_control,
    reach_of_step,
    require_quorum,
    typical_update,
    weigh,
)
from fedner.federation.runs import RunDirectory
from fedner.federation.site_policy import DECLINED
from fedner.federation.telling import tell
from fedner.metrics import Counts, DocumentCounts, pool
from fedner.progress import Progress
from fedner.state import State, digest, num_bytes

_KEPT = "its policy keeps the counts"


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What stays the same from the handshake to the final test; `config_text` is the config as one JSON string."""

    config: Config
    config_text: str
    contract: LabelContract
    mail: Mail
    sites: Members
    run: RunDirectory
    progress: Progress

    def ask(
        self, sites: Iterable[str], content: RecordDict, phase: str, round_number: int, reached: Callable[[], Reached]
    ) -> Iterator[tuple[str, Message | Failure]]:
        """Ask some sites and yield their replies as they arrive."""
        nodes = {site: self.sites.nodes[site] for site in sites}
        patience = patience_for(self.config.federation, self.sites.kind, phase)
        return self.mail.ask(nodes, content, phase, round_number, patience, reached)

    @property
    def declared(self) -> dict[str, int]:
        """Training sentences that each site said it has, of all that ever took part; 0 where it does not tell."""
        return {site: hello.train_sentences or 0 for site, hello in self.sites.hellos.items()}

    @property
    def spill(self) -> Spill | None:
        """Where replies lie that an aggregation needs all of and memory is not to hold."""
        above = self.config.federation.spill_bytes
        return None if above is None else Spill(self.run.replies_path, above)

    def header(self, round_number: int) -> Header:
        """Return the header of a round's requests."""
        return Header(run=self.run.name, round=round_number, seed=self.config.seed, contract=self.contract.digest)

    def tell(self, event: Event) -> None:
        """Put an event into the history and tell it to whoever watches."""
        tell(self.run, self.progress, event)


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


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Entity counts of the sites that counted, by name; `documents` where they tell counts by document.

    `unannotated` are the types that a site's counts say nothing about, since nobody looked for them or the site keeps
    them to itself; `untold` says of sites that keep scores to themselves, all or those of some types, which; `asked`
    how many of the sites were sent the state.
    """

    counts: dict[str, Counts]
    unannotated: dict[str, tuple[str, ...]]
    documents: dict[str, DocumentCounts]
    refused: dict[str, str]
    untold: dict[str, str]
    asked: int

    def pooled(self) -> Counts:
        """Return all sites' counts together.

        Raises:
            RunError: no site counted.
        """
        return pool(self.counts[site] for site in sorted(self.counts))


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
    updates = _usable(federation, request, replies, tally, typical_update(at.rounds))
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
    typical: Typical | None,
) -> Iterator[Update]:
    """Yield the replies that count; one that does not is refused by name and the round goes on without it."""
    config = federation.config
    reach, factor = reach_of_step(config.training, request.arrays), config.federation.max_update_norm
    control = reach_of_control(config.training)
    for site, message in replies:
        tally.answers += 1
        reply = message if isinstance(message, Failure) else wire.read_train_reply(message)
        del message
        federation.progress.advanced(tally.answers, tally.asked, "sites")
        examples = most_examples(federation.declared[site], config.training)
        limits = Limits(examples=examples, reach=reach, typical=typical, factor=factor, control=control)
        norm = reply if isinstance(reply, Failure) else judge(reply, request, limits)
        if isinstance(reply, Failure) or isinstance(norm, Failure):
            _refuse(federation, request.header.round, "train", site, str(norm), tally.refused)
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


def evaluate_sites(federation: Federation, number: int, arrays: State, state_round: int, split: str) -> Evaluated:
    """Score `arrays`, the state after `state_round`, on every site's `split`; test counts also by document.

    A site that keeps its scores to itself has answered all the same: its answer is missing from the sums, not from the
    quorum. One that said so in the handshake is not even asked.

    Raises:
        FederationError: fewer answers than federation.min_sites.
    """
    request = EvaluateRequest(
        header=federation.header(number),
        config=federation.config_text,
        arrays=arrays,
        state_round=state_round,
        split=split,
        by_document=split == "test",
    )
    replies: dict[str, EvaluateReply] = {}
    refused: dict[str, str] = {}
    hellos = federation.sites.hellos
    asked = [site for site in federation.sites.names if split not in hellos[site].declines]
    untold = {site: _KEPT for site in federation.sites.names if site not in asked}
    # Scores of a site that trained too little to count are scores all the same: only their number matters.
    needed = FederationConfig(min_sites=federation.config.federation.min_sites)

    def reached() -> Reached:
        return Reached.quorum if len(replies.keys() | untold) >= needed.min_sites else Reached.too_few

    content = wire.evaluate_request(request)
    answers = federation.ask(asked, content, split, number, reached)
    for done, (site, message) in enumerate(answers, start=1):
        federation.progress.advanced(done, len(asked), f"sites scored on {split}")
        reply = message if isinstance(message, Failure) else wire.read_evaluate_reply(message)
        if isinstance(reply, Failure) and reply.code == DECLINED:
            untold[site] = _KEPT
            continue
        reason = reply if isinstance(reply, Failure) else _misfit(reply, request.header, federation.contract)
        if isinstance(reply, Failure) or reason is not None:
            _refuse(federation, number, split, site, str(reason), refused)
            continue
        replies[site] = reply
        if reply.withheld:
            untold[site] = f"{_KEPT} of {', '.join(reply.withheld)}"
    require_quorum(number, replies.keys() | untold, federation.declared, needed, refused)
    return _evaluated(dict(sorted(replies.items())), refused, dict(sorted(untold.items())), len(asked))


def _evaluated(
    replies: Mapping[str, EvaluateReply], refused: dict[str, str], untold: dict[str, str], asked: int
) -> Evaluated:
    documents = {site: reply.document_counts for site, reply in replies.items()}
    return Evaluated(
        counts={site: reply.counts for site, reply in replies.items()},
        unannotated={site: (*reply.unannotated, *reply.withheld) for site, reply in replies.items()},
        documents={site: counts for site, counts in documents.items() if counts is not None},
        refused=refused,
        untold=untold,
        asked=asked,
    )


def _misfit(reply: EvaluateReply, sent: Header, contract: LabelContract) -> Failure | None:
    wanted, found = len(contract.type_names), len(reply.counts.tp)
    if wanted != found:
        return Failure("labels", f"wanted counts of {wanted} entity types, found {found}")
    if not {*reply.unannotated, *reply.withheld} <= set(contract.type_names):
        return Failure("labels", f"wanted types of contract '{contract.name}' as not annotated or kept, found others")
    return check_header(reply.header, sent)


def _refuse(federation: Federation, number: int, phase: str, site: str, reason: str, refused: dict[str, str]) -> None:
    federation.tell(ReplyRefused(round=number, phase=phase, site=site, reason=reason))
    refused[site] = reason
