"""The entries of an audit trail, one dataclass per kind; each becomes one line. Sizes and digests, never content."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class TrailOpened:
    """The first line of a trail, and whose it is."""

    event: str = field(default="trail opened", init=False)
    keeper: str


@dataclass(frozen=True, kw_only=True)
class TornLine:
    """The bytes before this line are of a write that was cut short; they are left as they are."""

    event: str = field(default="torn line", init=False)
    num_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """At a site: a request came. `flower_run` and `node` are Flower's numbers of its sender.

    `run` and `contract` are what it says of itself, empty where that cannot be read.
    """

    event: str = field(default="asked", init=False)
    request: str
    message: str
    flower_run: str
    node: str
    run: str
    round: int | None
    contract: str
    num_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """At a site: this leaves in answer to a request."""

    event: str = field(default="answered", init=False)
    request: str
    message: str
    tensors: int
    values: int
    num_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Refused:
    """At a site: a request is refused, by its policy or since something is wrong; the reason is what leaves."""

    event: str = field(default="refused", init=False)
    request: str
    message: str
    code: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class TextChanged:
    """At a site: its text is not the one it was at the last request of a run.

    `began` is the digest of the text that the run began with, or that the site accepted last; `digest` is that of the
    text now, and `accepted` whether the run goes on with it.
    """

    event: str = field(default="text changed", init=False)
    run: str
    began: str
    digest: str
    accepted: bool


@dataclass(frozen=True, kw_only=True)
class AppRefused:
    """At a site: the app that came with a request is not one that the site accepts; none of its code was run."""

    event: str = field(default="app refused", init=False)
    message: str
    flower_run: str
    app: str
    version: str
    digest: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Fingerprinted:
    """At a site: a file of signatures of its documents was made, to be compared with other sites'."""

    event: str = field(default="fingerprinted", init=False)
    file: str
    key: str
    documents: dict[str, int]
    num_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Joined:
    """At the server: a site takes part from now on."""

    event: str = field(default="joined", init=False)
    site: str
    declines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TurnedAway:
    """At the server: a node may not take part; `site` is empty where it could not say who it is."""

    event: str = field(default="turned away", init=False)
    site: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sent:
    """At the server: a request went out to some sites, the same to all."""

    event: str = field(default="sent", init=False)
    phase: str
    round: int
    nodes: dict[str, str]
    messages: dict[str, str]
    num_bytes: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Received:
    """At the server: a reply came, to the request with that id."""

    event: str = field(default="received", init=False)
    phase: str
    round: int
    site: str
    message: str
    tensors: int
    values: int
    num_bytes: int
    digest: str


Entry = (
    TrailOpened
    | TornLine
    | Asked
    | Answered
    | Refused
    | TextChanged
    | AppRefused
    | Fingerprinted
    | Joined
    | TurnedAway
    | Sent
    | Received
)
