"""What stays the same from the handshake to the final test, shared by the phases of every round."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from flwr.app import Message, RecordDict

from fedner.config import Config
from fedner.data.labels import LabelContract
from fedner.protocol.messages import Failure, Header
from fedner.records.events import Event, ReplyRefused
from fedner.records.progress import Progress
from fedner.records.recording import tell
from fedner.records.run_directory import RunDirectory
from fedner.server.aggregation import Spill
from fedner.server.membership import Members
from fedner.server.requests import Mail
from fedner.server.timeouts import Reached, patience_for


@dataclass(frozen=True, kw_only=True)
class Federation:
    """What stays the same from the handshake to the final test; `config_text` is the config as one JSON string."""

    config: Config
    config_text: str
    contract: LabelContract
    mail: Mail
    sites: Members
    run: RunDirectory
    progress: Progress

    def ask(
        self, sites: Iterable[str], content: RecordDict, phase: str, round_number: int, reached: Callable[[], Reached]
    ) -> Iterator[tuple[str, Message | Failure]]:
        """Ask some sites and yield their replies as they arrive."""
        nodes = {site: self.sites.nodes[site] for site in sites}
        patience = patience_for(self.config.federation, self.sites.kind, phase)
        return self.mail.ask(nodes, content, phase, round_number, patience, reached)

    @property
    def declared(self) -> dict[str, int]:
        """Training sentences that each site said it has, of all that ever took part; 0 where it does not tell."""
        return {site: hello.train_sentences or 0 for site, hello in self.sites.hellos.items()}

    @property
    def spill(self) -> Spill | None:
        """Where replies lie that an aggregation needs all of and memory is not to hold."""
        above = self.config.federation.spill_bytes
        return None if above is None else Spill(self.run.replies_path, above)

    def header(self, round_number: int) -> Header:
        """Return the header of a round's requests."""
        return Header(run=self.run.name, round=round_number, seed=self.config.seed, contract=self.contract.digest)

    def tell(self, event: Event) -> None:
        """Put an event into the history and tell it to whoever watches."""
        tell(self.run, self.progress, event)

    def refuse(self, number: int, phase: str, site: str, reason: str, refused: dict[str, str]) -> None:
        """Put a reply that does not count into the history and among the round's refusals."""
        self.tell(ReplyRefused(round=number, phase=phase, site=site, reason=reason))
        refused[site] = reason
