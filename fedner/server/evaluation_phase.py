"""Server side of scoring: ask the sites for entity counts and pool them."""

from dataclasses import dataclass

from fedner.config import FederationConfig
from fedner.data.labels import LabelContract
from fedner.metrics import Counts, DocumentCounts, pool
from fedner.protocol import wire
from fedner.protocol.messages import EvaluateReply, EvaluateRequest, Header
from fedner.protocol.phases import TEST, Phase
from fedner.refusals import Refusal, RefusalCode, unusable
from fedner.server.participation import require_quorum
from fedner.server.session import Federation
from fedner.server.timeouts import Reached
from fedner.server.validation import check_header
from fedner.tensors import State

_WITHHELD = "its policy keeps the counts"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """Entity counts of the sites that counted, by name; `documents` where they send them by document.

    `unannotated` are the types for which a site's counts mean nothing, since it does not annotate or withholds them;
    `withheld` names the scores that sites withhold, all or those of some types; `asked` is the number of sites that
    were sent the state.
    """

    counts: dict[str, Counts]
    unannotated: dict[str, tuple[str, ...]]
    documents: dict[str, DocumentCounts]
    refused: dict[str, Refusal]
    withheld: dict[str, str]
    asked: int

    def pooled(self) -> Counts:
        """Return all sites' counts together.

        Raises:
            RunError: no site counted.
        """
        return pool(self.counts[site] for site in sorted(self.counts))


def evaluate_sites(
    federation: Federation, number: int, arrays: State, state_round: int, phase: Phase[EvaluateReply]
) -> Evaluated:
    """Score `arrays`, the state after `state_round`, on every site's dev or test split; test counts also by document.

    A site that withholds its scores has answered all the same: its answer is missing from the sums, not from the
    quorum. One that said so in the handshake is not even asked.

    Raises:
        FederationError: fewer answers than federation.min_sites.
    """
    request = EvaluateRequest(
        header=federation.header(number),
        config=federation.config_text,
        arrays=arrays,
        state_round=state_round,
        split=phase.name,
        by_document=phase is TEST,
    )
    replies: dict[str, EvaluateReply] = {}
    refused: dict[str, Refusal] = {}
    hellos = federation.sites.hellos
    asked = [site for site in federation.sites.names if phase.name not in hellos[site].declines]
    withheld = {site: _WITHHELD for site in federation.sites.names if site not in asked}
    # Scores of a site that trained too little to count are scores all the same: only their number matters.
    needed = FederationConfig(min_sites=federation.config.federation.min_sites)

    def reached() -> Reached:
        return Reached.quorum if len(replies.keys() | withheld) >= needed.min_sites else Reached.too_few

    content = wire.evaluate_request(request)
    answers = federation.ask(asked, content, phase, number, reached)
    for done, (site, message) in enumerate(answers, start=1):
        federation.progress.advanced(done, len(asked), f"sites scored on {phase.name}")
        reply = message if isinstance(message, Refusal) else phase.read(message)
        if not isinstance(reply, Refusal):
            reply = _misfit(reply, request.header, federation.contract) or reply
        if isinstance(reply, Refusal):
            if reply.code is RefusalCode.policy_scores:
                withheld[site] = _WITHHELD
            else:
                refused[site] = federation.refuse(number, phase, site, reply)
            continue
        replies[site] = reply
        if reply.withheld:
            withheld[site] = f"{_WITHHELD} of {', '.join(reply.withheld)}"
    require_quorum(number, replies.keys() | withheld, federation.declared, needed, refused)
    replies = dict(sorted(replies.items()))
    documents = {site: reply.document_counts for site, reply in replies.items()}
    return Evaluated(
        counts={site: reply.counts for site, reply in replies.items()},
        unannotated={site: (*reply.unannotated, *reply.withheld) for site, reply in replies.items()},
        documents={site: counts for site, counts in documents.items() if counts is not None},
        refused=refused,
        withheld=dict(sorted(withheld.items())),
        asked=len(asked),
    )


def _misfit(reply: EvaluateReply, sent: Header, contract: LabelContract) -> Refusal | None:
    wanted, found = len(contract.type_names), len(reply.counts.tp)
    if wanted != found:
        return unusable(RefusalCode.labels, f"expected counts of {wanted} entity types, got {found}")
    if not {*reply.unannotated, *reply.withheld} <= set(contract.type_names):
        return unusable(
            RefusalCode.labels, f"expected types of contract '{contract.name}' as not annotated or withheld, got others"
        )
    return check_header(reply.header, sent)
