"""Membership: every node is greeted, must hold the federation's contract, and may join, leave and return.

Before the first round a misfit ends the run, so that it gets corrected. From then on it is reported and the run goes on
without: a site may join late, leave, or return as another node, always between two rounds, and no round waits for it.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping

from flwr.app import Message
from flwr.serverapp import Grid

from fedner.data.labels import LabelContract, difference
from fedner.errors import FederationError, FednerError, LabelError
from fedner.protocol import wire
from fedner.protocol.messages import UNKNOWN, Header, HelloReply, HelloRequest
from fedner.protocol.nodes import Nodes
from fedner.records.environment import package_version
from fedner.records.events import Event, SiteJoined, SiteLeft, SiteRefused
from fedner.refusals import Refusal, RefusalCode
from fedner.server.requests import POLL_SECONDS, nodes_of
from fedner.server.validation import check_header


class Members:
    """Maps each site of a federation to the Flower node that represents it.

    Args:
        grid: Flower's connection to the nodes.
        request: the greeting of every node.
        contract: the federation's.
        report: receives an event for every site that comes, goes or is refused.
        registered: node id -> the site that owns its key, of all that may take part; None where that is not known.
    """

    def __init__(
        self,
        grid: Grid,
        request: HelloRequest,
        contract: LabelContract,
        report: Callable[[Event], None],
        registered: Mapping[int, str] | None = None,
    ) -> None:
        self.kind = nodes_of(grid)
        self.hellos: dict[str, HelloReply] = {}
        """Site -> its introduction, of all that ever took part; a site that left still counts in shares."""
        self.nodes: dict[str, int] = {}
        """Site -> node id, of the connected ones."""
        self._grid = grid
        self._request = request
        self._contract = contract
        self._report = report
        self._registered = registered
        self._greeted: dict[str, int] = {}  # message id -> node that has not answered yet
        self._known: dict[int, HelloReply | None] = {}  # every node that was greeted; None while it has no say
        self._doubles: set[int] = set()
        self._declined: list[str] = []  # refusals by sites' own policies

    @property
    def names(self) -> tuple[str, ...]:
        """Sites that are there, sorted."""
        return tuple(sorted(self.nodes))

    def connect(self, min_sites: int, wait_seconds: float) -> None:
        """Greet every node that appears until all sites are connected, and check that all hold the same contract.

        A simulated site says how many there are; of real ones, at least `min_sites` are awaited.

        Raises:
            FederationError: too few sites within `wait_seconds`, a site refused, or two sites of one name.
            LabelError: a site holds another contract, with the difference.
        """
        deadline = time.monotonic() + wait_seconds
        while True:
            present = self._greet_new()
            came = False
            for node, hello in self._answers():
                came = True
                if isinstance(hello, Refusal) and hello.code.is_policy:
                    self._report(SiteRefused(round=0, site="", reason=str(hello)))
                    self._declined.append(str(hello))
                    continue
                if isinstance(hello, Refusal):
                    raise FederationError(f"handshake: a site cannot take part: {hello}")
                self._check(node, hello)
                if hello.site in self.nodes:
                    raise FederationError(
                        f"handshake: two nodes call themselves '{hello.site}'; site names must differ"
                    )
                self._known[node] = self.hellos[hello.site] = hello
                self.nodes[hello.site] = node
            wanted = max([min_sites, *(hello.num_sites or 0 for hello in self.hellos.values())])
            late = time.monotonic() > deadline
            if len(self.nodes) >= wanted and (late or not self._greeted):
                break
            if late:
                silent = sum(node in present for node in self._greeted.values())
                raise FederationError(
                    f"handshake: expected {wanted} sites within {wait_seconds:g} s (federation.wait_seconds), got "
                    f"{len(self.nodes)}: {', '.join(self.names) or 'nobody'}; {silent} more connected but did not "
                    f"answer{''.join(f'; a site does not take part: {reason}' for reason in self._declined)}"
                )
            if not came:
                time.sleep(POLL_SECONDS)

    def update(self, round_number: int) -> None:
        """Between two rounds: note departures, greet new nodes, admit those that have answered; never wait."""
        if self.kind is not Nodes.real:
            return
        present = self._greet_new()
        for site, node in sorted(self.nodes.items()):
            if node not in present:
                del self.nodes[site]
                self._report(SiteLeft(round=round_number, site=site))
        for node, hello in self._answers():
            if isinstance(hello, Refusal):
                self._report(SiteRefused(round=round_number, site="", reason=str(hello)))
                continue
            try:
                self._check(node, hello)
            except FednerError as error:
                self._report(SiteRefused(round=round_number, site=hello.site, reason=str(error)))
            else:
                self._known[node] = hello
        self._seat(present, round_number)

    def wait_for(self, min_sites: int, mandatory: Collection[str], wait_seconds: float, round_number: int) -> None:
        """Wait for sites without which a round cannot begin."""
        deadline = time.monotonic() + wait_seconds
        while self.kind is Nodes.real and time.monotonic() < deadline:
            if len(self.nodes) >= min_sites and self.nodes.keys() >= set(mandatory):
                return
            time.sleep(POLL_SECONDS)
            self.update(round_number)

    def _greet_new(self) -> set[int]:
        """Greet new nodes; return all that are connected."""
        present = set(self._grid.get_node_ids())
        new = sorted(present - self._known.keys())
        if not new:
            return present
        content = wire.hello_request(self._request)
        identities = self._grid.push_messages([Message(content, node, wire.HELLO, group_id="0") for node in new])
        for identity, node in zip(identities, new, strict=False):
            if identity:  # Flower could not send to a node that went away in this moment
                self._greeted[identity] = node
                self._known[node] = None
        return present

    def _answers(self) -> Iterator[tuple[int, HelloReply | Refusal]]:
        """Yield the answers to greetings; a node that was lost meanwhile is greeted when it returns."""
        if not self._greeted:
            return
        for reply in self._grid.pull_messages(list(self._greeted)):
            node = self._greeted.pop(reply.metadata.reply_to_message_id, None)
            if node is None:  # it answered twice
                continue
            hello = wire.read_hello_reply(reply)
            if isinstance(hello, Refusal) and hello.code is RefusalCode.node_lost:
                del self._known[node]
                continue
            yield node, hello

    def _seat(self, present: Collection[int], round_number: int) -> None:
        """Admit the nodes of sites without one; a second node of a site waits until the first leaves."""
        for node, hello in sorted(self._known.items()):
            if hello is None or node not in present or self.nodes.get(hello.site) == node:
                continue
            if hello.site not in self.nodes:
                self.hellos[hello.site], self.nodes[hello.site] = hello, node
                self._doubles.discard(node)
                self._report(joined(hello))
            elif node not in self._doubles:
                self._doubles.add(node)
                reason = "another node speaks for this site and is connected; this one takes over when that has gone"
                self._report(SiteRefused(round=round_number, site=hello.site, reason=reason))

    def _check(self, node: int, hello: HelloReply) -> None:
        """Check that a site fits this federation.

        Raises:
            LabelError: it holds another contract.
            FederationError: it is another site than its key's, runs other versions, or answers another run.
        """
        if self._registered is not None and self._registered.get(node) != hello.site:
            owner = self._registered.get(node)
            whose = f"has the key of '{owner}'" if owner else "was not registered when the run was submitted"
            raise FederationError(f"a node calls itself '{hello.site}', but {whose}")
        if hello.contract.digest != self._contract.digest:
            raise LabelError(
                f"site '{hello.site}' holds another label contract than the federation (ours is the federation's):\n"
                + difference(self._contract, hello.contract)
            )
        _check_versions(hello, self._request.header)


def joined(hello: HelloReply) -> SiteJoined:
    """Return the event of a site that was admitted."""
    return SiteJoined(
        site=hello.site,
        train_sentences=hello.train_sentences,
        dev_sentences=hello.dev_sentences,
        test_sentences=hello.test_sentences,
        declines=hello.declines,
    )


def _check_versions(hello: HelloReply, sent: Header) -> None:
    misfit = check_header(hello.header, sent)
    if misfit is not None:
        raise FederationError(f"handshake with site '{hello.site}': {misfit}")
    for package, ours, theirs in (
        ("fedner", package_version("fedner"), hello.fedner_version),
        ("flwr", package_version("flwr"), hello.flower_version),
    ):
        if ours and theirs != UNKNOWN and ours.split(".")[:2] != theirs.split(".")[:2]:
            raise FederationError(
                f"site '{hello.site}' runs {package} {theirs}, the server {ours}; install the same minor version"
            )
