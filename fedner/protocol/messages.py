"""Messages between server and sites, as plain types; `wire` converts them to Flower records and back."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedner.data.labels import LabelContract
from fedner.metrics import Counts
from fedner.protocol.auxiliary import AuxiliaryStates
from fedner.tensors import State

UNKNOWN = "unknown"
"""Version of a package that runs without being installed, such as fedner out of a Flower app bundle."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """Header of every message, both ways; a reply repeats the header of its request.

    `round` counts from 1; 0 is the handshake and the final test. `contract` is the sender's own contract digest.
    """

    run: str
    round: int
    seed: int
    contract: str


@dataclass(frozen=True, kw_only=True)
class HelloRequest:
    """Handshake before any weight moves; `config` is the resolved run config as one JSON string."""

    header: Header
    config: str


@dataclass(frozen=True, kw_only=True)
class HelloReply:
    """A site's introduction: its contract in full, so that a difference can be reported, versions and sizes.

    Sizes are None where the site's policy withholds them; `declines` are the splits whose scores it withholds.
    `num_sites` is the number of sites of a simulation; None at a real site, which does not know of the others.
    """

    header: Header
    site: str
    contract: LabelContract
    fedner_version: str
    flower_version: str
    train_sentences: int | None
    dev_sentences: int | None
    test_sentences: int | None
    declines: tuple[str, ...] = ()
    num_sites: int | None = None


@dataclass(frozen=True, kw_only=True)
class TrainRequest:
    """Train for one round from `arrays`, the global state with the digest `state`.

    `best_rounds` are those to which the server may go back; a site keeps its personal tensors of them. `auxiliary`
    holds tensors that travel beside the model's.
    """

    header: Header
    config: str
    state: str
    arrays: State = field(repr=False)
    best_rounds: tuple[int, ...] = ()
    auxiliary: AuxiliaryStates = field(default_factory=dict[str, State], repr=False)


@dataclass(frozen=True, kw_only=True)
class TrainReply:
    """A site's trained state and the sums behind every mean.

    `started_from` is the digest of the state that training began with, `num_examples` and `num_words` count sentences
    and words passed through training in this round, `loss_sum` is the cross-entropy in nats summed over those words,
    `seconds` is the site's own wall time.
    """

    header: Header
    started_from: str
    arrays: State = field(repr=False)
    num_examples: int
    num_words: int
    loss_sum: float
    steps: int
    seconds: float
    auxiliary: AuxiliaryStates = field(default_factory=dict[str, State], repr=False)


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """Score `arrays` on the site's `split`, `dev` or `test`; `by_document` also asks for the counts per document.

    `arrays` is the global state after `state_round`; a site adds its personal tensors of that round.
    """

    header: Header
    config: str
    arrays: State = field(repr=False)
    state_round: int
    split: str
    by_document: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluateReply:
    """Entity counts in contract order; `document_counts` has shape (documents, types, 3), where the site sends them.

    Counts of types that are `withheld` are sent as 0, whatever they are; loss and words may be withheld as well.
    `unannotated` are the types that no document of the split annotates, for which the site's counts mean nothing.
    """

    header: Header
    counts: Counts
    seconds: float
    loss_sum: float | None = None
    num_words: int | None = None
    withheld: tuple[str, ...] = ()
    document_counts: NDArray[np.int64] | None = field(default=None, repr=False)
    unannotated: tuple[str, ...] = ()


AnyRequest = HelloRequest | TrainRequest | EvaluateRequest
