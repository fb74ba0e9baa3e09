"""Why a reply does not count, as a type that goes unchanged from the message to the report.

A sentence is for people and is never parsed. The code is one of a closed set, and the origin is set by whoever reads a
message, so that a site cannot choose to be recorded as one that never answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Origin(StrEnum):
    """Who decided that a reply does not count."""

    site = "site"
    """The site answered that it could not, or would not, do the work."""
    server = "server"
    """The server read the reply and found it unusable."""
    transport = "transport"
    """No reply arrived: a timeout, or Flower lost the node or its process."""


class RefusalCode(StrEnum):
    """Reasons for a refusal; the values stand in messages, history, audit trails and reports."""

    # No reply.
    silent = "silent"
    gone = "gone"
    spare = "spare"
    node_lost = "node-lost"
    process_failed = "process-failed"
    # A reply that the server cannot use.
    empty = "empty"
    implausible = "implausible"
    diverged = "diverged"
    state = "state"
    federation = "federation"
    # A site that could not answer.
    error = "error"
    input = "input"
    config = "config"
    data = "data"
    labels = "labels"
    assets = "assets"
    run = "run"
    quorum = "quorum"
    run_directory = "run-directory"
    audit = "audit"
    app = "app"
    memory = "memory"
    text_changed = "text-changed"
    internal = "internal"
    other = "other"
    """A code that this version does not know."""
    # A site whose policy refuses.
    policy_request = "policy-request"
    policy_run = "policy-run"
    policy_contract = "policy-contract"
    policy_rounds = "policy-rounds"
    policy_epochs = "policy-epochs"
    policy_steps = "policy-steps"
    policy_sites = "policy-sites"
    policy_tensors = "policy-tensors"
    policy_sizes = "policy-sizes"
    policy_hours = "policy-hours"
    policy_fingerprints = "policy-fingerprints"
    policy_scores = "policy-scores"
    """The site withholds its scores; it counts as having answered."""

    @property
    def is_policy(self) -> bool:
        """Whether a site's own rules refuse, so that nothing is wrong with the site and the run goes on without it."""
        return self in _POLICY


_NO_REPLY = frozenset(
    {RefusalCode.silent, RefusalCode.gone, RefusalCode.spare, RefusalCode.node_lost, RefusalCode.process_failed}
)
_POLICY = frozenset(code for code in RefusalCode if code.name.startswith("policy_")) | {RefusalCode.text_changed}


@dataclass(frozen=True)
class Refusal:
    """Why a reply does not count.

    Args:
        code: the reason, for programs.
        sentence: the reason, for people; holds no private detail of a site.
        origin: who decided.
        phase: hello, train, dev or test; empty while it is not known.
    """

    code: RefusalCode
    sentence: str
    origin: Origin = Origin.site
    phase: str = ""

    def __str__(self) -> str:
        """Return code and sentence, as history and progress show them."""
        return f"{self.code}: {self.sentence}"

    @property
    def shown(self) -> str:
        """Text for tables of a round, in which training goes without saying."""
        return f"{self.phase}: {self}" if self.phase == "dev" else str(self)

    @property
    def is_silence(self) -> bool:
        """Whether the site did not answer at all."""
        return self.origin is Origin.transport

    @property
    def is_temporary(self) -> bool:
        """Whether the site may well answer another time: it was silent, or its policy allows other hours."""
        return self.is_silence or self.code is RefusalCode.policy_hours

    def to_json(self) -> dict[str, str]:
        """Return the refusal as results and checkpoints hold it."""
        return {
            "phase": self.phase,
            "origin": self.origin.value,
            "code": self.code.value,
            "sentence": self.sentence,
        }


def unusable(code: RefusalCode, sentence: str) -> Refusal:
    """Return the refusal of a reply that the server cannot use."""
    return Refusal(code, sentence, Origin.server)


def no_reply(code: RefusalCode, sentence: str) -> Refusal:
    """Return the refusal of a site from which no reply arrived."""
    return Refusal(code, sentence, Origin.transport)


def code_of_site(text: str) -> RefusalCode:
    """Return the code that a site sent; one that is unknown, or not a site's to send, is `other`."""
    code = _known(text)
    return RefusalCode.other if code in _NO_REPLY else code


def refusal_from_json(plain: Mapping[str, Any] | str) -> Refusal:
    """Read what `to_json` wrote, or `[dev: ]code: sentence` as runs before version 0.2 wrote it."""
    if not isinstance(plain, str):
        return Refusal(_known(plain["code"]), plain["sentence"], Origin(plain["origin"]), plain["phase"])
    phase = "dev" if plain.startswith("dev: ") else "train"
    word, _, sentence = plain.removeprefix("dev: ").partition(": ")
    if word.startswith("flower-"):
        code = RefusalCode.process_failed if word == "flower-2" else RefusalCode.node_lost
    else:
        code = _known(word)
    if code is RefusalCode.other:
        sentence = plain
    return Refusal(code, sentence, Origin.transport if code in _NO_REPLY else Origin.server, phase)


def _known(text: str) -> RefusalCode:
    try:
        return RefusalCode(text)
    except ValueError:
        return RefusalCode.other
