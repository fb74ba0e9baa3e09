"""Server side of scoring: ask the sites for entity counts and pool them."""

from collections.abc import Mapping
from dataclasses import dataclass

from fedner.config import FederationConfig
from fedner.data.labels import LabelContract
from fedner.metrics import Counts, DocumentCounts, pool
from fedner.protocol import wire
from fedner.protocol.messages import EvaluateReply, EvaluateRequest, Failure, Header
from fedner.protocol.requests import DECLINED
from fedner.server.participation import require_quorum
from fedner.server.session import Federation
from fedner.server.timeouts import Reached
from fedner.server.validation import check_header
from fedner.tensors import State

_KEPT = "its policy keeps the counts"


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
            federation.refuse(number, split, site, str(reason), refused)
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
        return Failure("labels", f"expected counts of {wanted} entity types, got {found}")
    if not {*reply.unannotated, *reply.withheld} <= set(contract.type_names):
        return Failure("labels", f"expected types of contract '{contract.name}' as not annotated or kept, got others")
    return check_header(reply.header, sent)
