"""The server's side of the conversation: who is there, ask, collect replies as they arrive, say who was silent."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedner.data.labels import LabelContract, difference
from fedner.errors import FederationError, LabelError
from fedner.federation import wire
from fedner.federation.messages import UNKNOWN, Failure, Header, HelloReply, HelloRequest
from fedner.federation.rounds import check_header
from fedner.federation.runs import package_version

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Connected:
    """The sites that said hello and hold the federation's contract, by name in order, and their node ids.

    `simulated` sites never fall silent without an error reply, so nobody needs to stop waiting for them.
    """

    hellos: Mapping[str, HelloReply]
    nodes: Mapping[str, int]
    simulated: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Site names, sorted."""
        return tuple(self.nodes)


def ask(
    grid: Grid, nodes: Mapping[str, int], content: RecordDict, message_type: str, round_number: int,
    silence_seconds: float | None, deadline_seconds: float | None = None,
) -> Iterator[tuple[str, Message | Failure]]:  # fmt: skip
    """Send the same content to some sites and yield each one's reply, in order of arrival.

    Args:
        grid: Flower's connection to the nodes.
        nodes: site -> node id; the sites to ask.
        content: the request.
        message_type: Flower's message type.
        round_number: tells Flower which messages belong together.
        silence_seconds: once a reply has come, how long to wait for the next; None waits for all.
        deadline_seconds: how long to wait for all of them together; None sets no limit.
    """
    started = time.monotonic()
    order = sorted(nodes)
    messages = [Message(content, nodes[site], message_type, group_id=str(round_number)) for site in order]
    waiting = dict(zip(grid.push_messages(messages), order, strict=True))
    del messages, content
    last_reply: float | None = None
    reason = ""
    while waiting:
        arrived = list(grid.pull_messages(list(waiting)))
        for reply in arrived:
            site = waiting.pop(reply.metadata.reply_to_message_id)
            last_reply = time.monotonic()
            yield site, reply
        if arrived:
            arrived.clear()
            continue
        now = time.monotonic()
        if deadline_seconds is not None and now - started > deadline_seconds:
            reason = f"no reply within {deadline_seconds:g} s (federation.deadline_seconds)"
            break
        if silence_seconds is not None and last_reply and now - last_reply > silence_seconds:
            reason = f"no reply within {silence_seconds:g} s of the last one (federation.wait_seconds)"
            break
        time.sleep(POLL_SECONDS)
    for site in waiting.values():
        yield site, Failure("silent", reason)


def connect(
    grid: Grid, request: HelloRequest, contract: LabelContract, min_sites: int, wait_seconds: float
) -> Connected:
    """Say hello to every node that appears until all sites are there, and check that all hold the same contract.

    A simulated site tells how many there are; of real ones at least `min_sites` are waited for.

    Raises:
        FederationError: too few sites within `wait_seconds`, saying who is there; a site refused; two of one name.
        LabelError: a site holds another contract, with the difference.
    """
    deadline = time.monotonic() + wait_seconds
    hellos: dict[str, HelloReply] = {}
    nodes: dict[str, int] = {}
    greeted: set[int] = set()
    while True:
        new = sorted(set(grid.get_node_ids()) - greeted)
        greeted.update(new)
        for node, hello in _greet(grid, new, request, deadline):
            if isinstance(hello, Failure):
                raise FederationError(f"handshake: a site cannot take part: {hello}")
            _check_hello(hello, request.header, contract)
            if hello.site in nodes:
                raise FederationError(f"handshake: two nodes call themselves '{hello.site}'; site names must differ")
            hellos[hello.site], nodes[hello.site] = hello, node
        wanted = max([min_sites, *(hello.num_sites or 0 for hello in hellos.values())])
        if len(nodes) >= wanted:
            break
        if time.monotonic() > deadline:
            there = ", ".join(sorted(nodes)) or "nobody"
            raise FederationError(
                f"handshake: wanted {wanted} sites within {wait_seconds:g} s (federation.wait_seconds), found "
                f"{len(nodes)}: {there}; {len(greeted) - len(nodes)} more connected but did not answer"
            )
        time.sleep(POLL_SECONDS)
    simulated = all(hello.num_sites is not None for hello in hellos.values())
    return Connected(hellos=dict(sorted(hellos.items())), nodes=dict(sorted(nodes.items())), simulated=simulated)


def _greet(
    grid: Grid, nodes: list[int], request: HelloRequest, deadline: float
) -> Iterator[tuple[int, HelloReply | Failure]]:
    """Yield who answered before the deadline; those who did not are missing from it."""
    content = wire.hello_request(request)
    waiting = dict(
        zip(
            grid.push_messages([Message(content, node, wire.HELLO, group_id="0") for node in nodes]), nodes, strict=True
        )
    )
    while waiting and time.monotonic() <= deadline:
        arrived = list(grid.pull_messages(list(waiting)))
        for reply in arrived:
            yield waiting.pop(reply.metadata.reply_to_message_id), wire.read_hello_reply(reply)
        if not arrived:
            time.sleep(POLL_SECONDS)


def _check_hello(hello: HelloReply, sent: Header, contract: LabelContract) -> None:
    if hello.contract.digest != contract.digest:
        raise LabelError(
            f"site '{hello.site}' holds another label contract than the federation (ours is the federation's):\n"
            + difference(contract, hello.contract)
        )
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
