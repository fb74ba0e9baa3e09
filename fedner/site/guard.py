"""A site's gate: its policy stands before the work and before the answer, its audit trail around both.

A node whose config names a site file is a real site; what the file says is read anew when it changes, so that a policy
that is made stricter holds from the next message on. A simulated site has no gate to speak of: everything passes.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from flwr.app import Context, Message, RecordDict

from fedner.audit.entries import Answered, Asked, Refused
from fedner.config import Config, loads
from fedner.config.site import MachineConfig, SiteConfig, read_site
from fedner.errors import FederationError, PolicyError
from fedner.learning.device import hold_process
from fedner.protocol import wire
from fedner.protocol.manifest import manifest
from fedner.protocol.messages import AnyRequest, EvaluateReply, EvaluateRequest, Header, HelloReply, TrainReply
from fedner.refusals import Refusal
from fedner.site.node_config import SITE_FILE
from fedner.site.policy import before_work, release_hello, release_scores, release_update
from fedner.site.trail import trail_of


@dataclass(frozen=True)
class Gate:
    """What a request has to pass on its way in, and its answer on its way out; `site` is None in a simulation."""

    site: SiteConfig | None

    def came(self, message: Message) -> None:
        """Write down that a request came, before anything else happens.

        Raises:
            AuditError: it cannot be written down.
        """
        if self.site is None:
            return
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
        trail_of(self.site).append(entry)

    def admit(self, request: AnyRequest) -> None:
        """Let a request be worked on.

        Raises:
            PolicyError: the site's policy refuses it.
            ConfigError: the run's config is none.
        """
        if self.site is None:
            return
        failure = before_work(self.site.policy, request, _config(request.config), datetime.now())
        if failure is not None:
            raise PolicyError(failure)

    def narrowed(self, config: Config) -> Config:
        """Return the run's config as this machine takes it, and hold the process to what the machine gives."""
        if self.site is None:
            return config
        machine = self.site.machine
        hold_process(machine.nice, machine.gpu_memory_fraction)
        return on_machine(config, machine)

    def hello(self, reply: HelloReply, config: Config) -> HelloReply:
        """Return an introduction as it may leave."""
        return reply if self.site is None else release_hello(self.site.policy, reply, config)

    def update(self, reply: TrainReply, declared: int, config: Config) -> TrainReply:
        """Return a trained state as it may leave.

        Raises:
            PolicyError: it may not.
        """
        if self.site is None:
            return reply
        released = release_update(self.site.policy, reply, declared, config)
        if isinstance(released, Refusal):
            raise PolicyError(released)
        return released

    def scores(self, reply: EvaluateReply, request: EvaluateRequest, types: tuple[str, ...]) -> EvaluateReply:
        """Return scores as they may leave, counts by document only if they are asked for.

        Raises:
            PolicyError: they may not.
        """
        if self.site is None:
            return reply if request.by_document else replace(reply, document_counts=None)
        released = release_scores(self.site.policy, reply, request, types)
        if isinstance(released, Refusal):
            raise PolicyError(released)
        return released

    def leaving(self, message: Message, content: RecordDict) -> None:
        """Write down what leaves in answer to a request, before it does.

        Raises:
            AuditError: it cannot be written down.
        """
        if self.site is None:
            return
        kind, identity = message.metadata.message_type, message.metadata.message_id
        failure = wire.refusal_of(content)
        if failure is not None:
            entry = Refused(request=kind, message=identity, code=failure.code, reason=failure.sentence)
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
        trail_of(self.site).append(entry)


def gate_of(context: Context) -> Gate:
    """Return the gate of a node's site.

    Raises:
        ConfigError: its site file is at fault.
    """
    named = context.node_config.get(SITE_FILE)
    return Gate(None) if named is None else Gate(site_of(Path(str(named))))


def site_of(path: Path) -> SiteConfig:
    """Return what a site file says now.

    Raises:
        ConfigError: as `read_site`.
    """
    try:
        written = path.stat().st_mtime_ns
    except OSError:
        written = 0
    return _site(path, written)


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


@lru_cache(maxsize=1)
def _site(path: Path, written: int) -> SiteConfig:
    return read_site(path)


@lru_cache(maxsize=2)
def _config(text: str) -> Config:
    return loads(text)


def _header(message: Message) -> Header | None:
    try:
        return wire.read_header(message)
    except FederationError:
        return None
