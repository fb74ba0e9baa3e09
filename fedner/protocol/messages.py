"""What server and sites say to each other, as plain types; `wire` puts them into Flower records and takes them out."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fedner.data.labels import LabelContract
from fedner.metrics import Counts
from fedner.tensors import State

UNKNOWN = "unknown"
"""Version of a package that runs without being installed, such as fedner out of a Flower app bundle."""


@dataclass(frozen=True, kw_only=True)
class Header:
    """What every message says about itself, both ways; a reply repeats the header of its request.

    `round` counts from 1; 0 is the handshake and the final test. `contract` is the sender's own contract digest.
    """

    run: str
    round: int
    seed: int
    contract: str


@dataclass(frozen=True, kw_only=True)
class HelloRequest:
    """Before any weight moves: who are you, and do we hold the same contract? `config` is one JSON string."""

    header: Header
    config: str


@dataclass(frozen=True, kw_only=True)
class HelloReply:
    """A site introduces itself: its contract in full, so that a difference can be told, versions and sizes.

    Sizes are None where the site's policy keeps them back; `declines` are the splits whose scores it keeps to itself.
    `num_sites` is how many sites a simulation has; None at a real site, which does not know of the others.
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
    """Train for one round from `arrays`, the global state; `control` is SCAFFOLD's control variate.

    `best_rounds` are those to which the server may go back; a site keeps what is personal of them.
    """

    header: Header
    config: str
    arrays: State = field(repr=False)
    best_rounds: tuple[int, ...] = ()
    control: State | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class TrainReply:
    """A site's trained state and the sums behind every mean.

    `num_examples` and `num_words` count sentences and words passed through training in this round, `loss_sum` is the
    cross-entropy in nats summed over those words, `seconds` is the site's own wall time, `control` what SCAFFOLD's
    control variate of the site changed by.
    """

    header: Header
    arrays: State = field(repr=False)
    num_examples: int
    num_words: int
    loss_sum: float
    steps: int
    seconds: float
    control: State | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class EvaluateRequest:
    """Score `arrays` on the site's `split`, `dev` or `test`; `by_document` also asks for the counts per document.

    `arrays` is the global state after `state_round`; a site adds what it keeps for itself of that round.
    """

    header: Header
    config: str
    arrays: State = field(repr=False)
    state_round: int
    split: str
    by_document: bool = False


@dataclass(frozen=True, kw_only=True)
class EvaluateReply:
    """Entity counts in contract order; `document_counts` has shape (documents, types, 3), where the site tells them.

    Counts of types that are `withheld` are 0, which is not what was found; loss and words may be kept back as well.
    `unannotated` are the types that no document of the split annotates, so that the site's counts say nothing of them.
    """

    header: Header
    counts: Counts
    seconds: float
    loss_sum: float | None = None
    num_words: int | None = None
    withheld: tuple[str, ...] = ()
    document_counts: NDArray[np.int64] | None = field(default=None, repr=False)
    unannotated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """Why a site could not answer: a stable code and a sentence that is safe to leave the site."""

    code: str
    sentence: str

    def __str__(self) -> str:
        """Return both, as history and refusals show them."""
        return f"{self.code}: {self.sentence}"
