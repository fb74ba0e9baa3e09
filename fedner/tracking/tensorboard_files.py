# pyright: basic
# PyTorch does not type its writer.
"""TensorBoard: event files in the run directory, `tensorboard --logdir runs` draws them."""

from typing import TYPE_CHECKING

from fedner.config import TrackingConfig
from fedner.records.events import Event, RunResumed, RunStarted
from fedner.tracking.measures import Measures
from fedner.tracking.subject import Subject

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


def open_tensorboard(tracking: TrackingConfig, subject: Subject) -> "TensorBoard":
    """Follow a run into `tensorboard/` of its directory."""
    return TensorBoard(subject)


class TensorBoard:
    """Writes the numbers of every whole round at once; rounds after the one a run goes on from are taken back."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._measures = Measures()
        self._writer: SummaryWriter | None = None

    def event(self, event: Event) -> None:
        """Open a file where a run starts or goes on, and write what a round brought."""
        match event:
            case RunStarted():
                self._writer = self._begin(0)
                self._describe(self._writer)
            case RunResumed():
                self._writer = self._begin(event.round + 1)
            case _:
                pass
        measured = self._measures.of(event)
        if measured is None or self._writer is None:
            return
        for name, value in measured.values.items():
            self._writer.add_scalar(name, value, measured.step)
        self._writer.flush()

    def close(self, finished: bool) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _begin(self, step: int) -> "SummaryWriter":
        from torch.utils.tensorboard.writer import SummaryWriter

        return SummaryWriter(str(self._subject.folder / "tensorboard"), purge_step=step)

    def _describe(self, writer: "SummaryWriter") -> None:
        """Write the hyper-parameters, for the HPARAMS tab and as a table for TEXT."""
        from torch.utils.tensorboard.summary import hparams

        settings = dict(self._subject.settings)
        for summary in hparams(settings, {"test/f1": 0.0, "dev/best_f1": 0.0}):
            writer._get_file_writer().add_summary(summary)
        rows = "\n".join(f"| {key} | {value} |" for key, value in settings.items())
        writer.add_text("config", f"| key | value |\n| --- | --- |\n{rows}", 0)
