"""What stays the same from the handshake to the final test, shared by the phases of every round."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from flwr.app import Message, RecordDict

from fedner.config import Config
from fedner.data.labels import LabelContract
from fedner.protocol.messages import Header
from fedner.protocol.phases import AnyPhase
from fedner.records.events import Event, ReplyRefused
from fedner.records.progress import Progress
from fedner.records.recording import report
from fedner.records.run_directory import RunDirectory
from fedner.refusals import Refusal
from fedner.server.aggregation import Spill
from fedner.server.membership import Members
from fedner.server.requests import RequestChannel
from fedner.server.timeouts import Reached, timeouts_for


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What stays the same from the handshake to the final test; `config_text` is the config as one JSON string."""

    config: Config
    config_text: str
    contract: LabelContract
    requests: RequestChannel
    sites: Members
    run: RunDirectory
    progress: Progress

    def ask(
        self, sites: Iterable[str], content: RecordDict, phase: AnyPhase, round_number: int,
        reached: Callable[[], Reached],
    ) -> Iterator[tuple[str, Message | Refusal]]:  # fmt: skip
        """Ask some sites and yield their replies as they arrive."""
        nodes = {site: self.sites.nodes[site] for site in sites}
        timeouts = timeouts_for(self.config.federation, self.sites.kind, phase.needs_everybody)
        return self.requests.ask(nodes, content, phase, round_number, timeouts, reached)

    @property
    def declared(self) -> dict[str, int]:
        """Declared training sentences of each site that ever took part; 0 where a site withholds the number."""
        return {site: hello.train_sentences or 0 for site, hello in self.sites.hellos.items()}

    @property
    def spill(self) -> Spill | None:
        """Where replies are stored if an aggregation needs all of them and they exceed the memory limit."""
        above = self.config.federation.spill_bytes
        return None if above is None else Spill(self.run.replies_path, above)

    def header(self, round_number: int) -> Header:
        """Return the header of a round's requests."""
        return Header(run=self.run.name, round=round_number, seed=self.config.seed, contract=self.contract.digest)

    def report(self, event: Event) -> None:
        """Append an event to the history; failures are reported to the progress display as well."""
        report(self.run, self.progress, event)

    def refuse(self, number: int, phase: AnyPhase, site: str, refusal: Refusal) -> Refusal:
        """Report that a site's reply does not count, and return the refusal with its phase."""
        refusal = replace(refusal, phase=phase.name)
        self.report(
            ReplyRefused(
                round=number,
                phase=phase.name,
                site=site,
                reason=str(refusal),
                origin=refusal.origin.value,
                code=refusal.code.value,
            )
        )
        return refusal
