"""A site's guard: asked before the work and before the answer, with the audit trail around both.

A node whose config names a site file is a real site and has a `PolicyGuard`; a simulated site is `Open`.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from flwr.app import Context, Message, RecordDict

from fedner.audit.entries import Answered, Asked, Entry, Refused
from fedner.config import Config
from fedner.config.policy import AppsPolicy
from fedner.config.site import MachineConfig, SiteConfig
from fedner.errors import FederationError, PolicyError
from fedner.learning.device import hold_process
from fedner.protocol import wire
from fedner.protocol.manifest import manifest
from fedner.protocol.messages import AnyRequest, EvaluateReply, EvaluateRequest, Header, HelloReply, TrainReply
from fedner.refusals import Refusal
from fedner.site.memory import SiteMemory
from fedner.site.node_config import SITE_FILE
from fedner.site.own_data import current_site
from fedner.site.policy import before_work, release_hello, release_scores, release_update
from fedner.site.text_changes import require_text_of_run
from fedner.site.trail import trail_of


class Guard(Protocol):
    """Decides which requests a site answers, and what of an answer leaves."""

    @property
    def apps(self) -> AppsPolicy:
        """Which apps the site listens to."""
        ...

    def record(self, entry: Entry) -> None:
        """Write an entry into the audit trail.

        Raises:
            AuditError: it cannot be written.
        """
        ...

    def arrived(self, message: Message) -> None:
        """Record that a request came, before anything else happens.

        Raises:
            AuditError: it cannot be written.
        """
        ...

    def admit(self, request: AnyRequest, config: Config) -> None:
        """Let a request be worked on.

        Raises:
            PolicyError: the site's policy refuses it.
        """
        ...

    def admit_text(self, digest: str, run: str, memory: SiteMemory) -> None:
        """Let a run work on the text of this digest.

        Raises:
            TextChangedError: the run began with another.
        """
        ...

    def on_this_machine(self, config: Config) -> Config:
        """Return the run's config as this machine runs it, and hold the process to what the machine gives."""
        ...

    def hello(self, reply: HelloReply, config: Config) -> HelloReply:
        """Return an introduction as it may leave."""
        ...

    def update(self, reply: TrainReply, num_sentences: int, config: Config) -> TrainReply:
        """Return a trained state as it may leave.

        Raises:
            PolicyError: it may not.
        """
        ...

    def scores(self, reply: EvaluateReply, request: EvaluateRequest, types: tuple[str, ...]) -> EvaluateReply:
        """Return scores as they may leave, counts by document only if they were asked for.

        Raises:
            PolicyError: they may not.
        """
        ...

    def leaving(self, message: Message, content: RecordDict) -> None:
        """Record an answer before it leaves.

        Raises:
            AuditError: it cannot be written.
        """
        ...


def guard_of(context: Context) -> Guard:
    """Return the guard of a node's site."""
    named = context.node_config.get(SITE_FILE)
    return Open() if named is None else PolicyGuard(Path(str(named)))


@dataclass(frozen=True)
class Open:
    """The guard of a simulated site: everything passes and nothing is recorded."""

    @property
    def apps(self) -> AppsPolicy:
        """The default."""
        return AppsPolicy()

    def record(self, entry: Entry) -> None:
        """Do nothing."""

    def arrived(self, message: Message) -> None:
        """Do nothing."""

    def admit(self, request: AnyRequest, config: Config) -> None:
        """Do nothing."""

    def admit_text(self, digest: str, run: str, memory: SiteMemory) -> None:
        """Do nothing."""

    def on_this_machine(self, config: Config) -> Config:
        """Return the config."""
        return config

    def hello(self, reply: HelloReply, config: Config) -> HelloReply:
        """Return the reply."""
        return reply

    def update(self, reply: TrainReply, num_sentences: int, config: Config) -> TrainReply:
        """Return the reply."""
        return reply

    def scores(self, reply: EvaluateReply, request: EvaluateRequest, types: tuple[str, ...]) -> EvaluateReply:
        """Return the reply, without counts by document that were not asked for."""
        return reply if request.by_document else replace(reply, document_counts=None)

    def leaving(self, message: Message, content: RecordDict) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class PolicyGuard:
    """The guard of a real site, as its site file has it; every method may also raise ConfigError for that file.

    The file is looked at for each decision, so that a stricter policy holds at once, also for an answer whose work
    began before the change.
    """

    site_file: Path

    @property
    def site(self) -> SiteConfig:
        """What the site file says now."""
        return current_site(self.site_file)

    @property
    def apps(self) -> AppsPolicy:
        """As `Guard.apps`."""
        return self.site.policy.apps

    def record(self, entry: Entry) -> None:
        """As `Guard.record`."""
        trail_of(self.site).append(entry)

    def arrived(self, message: Message) -> None:
        """As `Guard.arrived`."""
        held, header = manifest(message.content), _header(message)
        entry = Asked(
            request=message.metadata.message_type,
            message=message.metadata.message_id,
            flower_run=str(message.metadata.run_id),
            node=str(message.metadata.src_node_id),
            run=header.run if header else "",
            round=header.round if header else None,
            contract=header.contract if header else "",
            num_bytes=held.num_bytes,
            digest=held.digest,
        )
        self.record(entry)

    def admit(self, request: AnyRequest, config: Config) -> None:
        """As `Guard.admit`."""
        refusal = before_work(self.site.policy, request, config, datetime.now())
        if refusal is not None:
            raise PolicyError(refusal)

    def admit_text(self, digest: str, run: str, memory: SiteMemory) -> None:
        """As `Guard.admit_text`."""
        require_text_of_run(digest, run, memory, self.site)

    def on_this_machine(self, config: Config) -> Config:
        """As `Guard.on_this_machine`."""
        machine = self.site.machine
        hold_process(machine.nice, machine.gpu_memory_fraction)
        return on_machine(config, machine)

    def hello(self, reply: HelloReply, config: Config) -> HelloReply:
        """As `Guard.hello`."""
        return release_hello(self.site.policy, reply, config)

    def update(self, reply: TrainReply, num_sentences: int, config: Config) -> TrainReply:
        """As `Guard.update`."""
        released = release_update(self.site.policy, reply, num_sentences, config)
        if isinstance(released, Refusal):
            raise PolicyError(released)
        return released

    def scores(self, reply: EvaluateReply, request: EvaluateRequest, types: tuple[str, ...]) -> EvaluateReply:
        """As `Guard.scores`."""
        released = release_scores(self.site.policy, reply, request, types)
        if isinstance(released, Refusal):
            raise PolicyError(released)
        return released

    def leaving(self, message: Message, content: RecordDict) -> None:
        """As `Guard.leaving`."""
        kind, identity = message.metadata.message_type, message.metadata.message_id
        refusal = wire.refusal_of(content)
        if refusal is not None:
            entry = Refused(request=kind, message=identity, code=refusal.code, reason=refusal.sentence)
        else:
            held = manifest(content)
            entry = Answered(
                request=kind,
                message=identity,
                tensors=len(held.tensors),
                values=len(held.values),
                num_bytes=held.num_bytes,
                digest=held.digest,
            )
        self.record(entry)


def on_machine(config: Config, machine: MachineConfig) -> Config:
    """Return a run's config with the site's device and precision, and no more threads than it gives."""
    training = config.training
    threads = [number for number in (training.threads, machine.threads) if number is not None]
    mine = replace(
        training,
        device=machine.device or training.device,
        precision=machine.precision or training.precision,
        threads=min(threads, default=None),
    )
    return replace(config, training=mine)


def _header(message: Message) -> Header | None:
    try:
        return wire.read_header(message)
    except FederationError:
        return None
