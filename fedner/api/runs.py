"""A finished run or comparison, opened from its directory."""

from dataclasses import dataclass
from pathlib import Path

from fedner.report import Study, read_study
from fedner.report.html import render_summary


@dataclass(frozen=True)
class Run:
    """A run directory and its results; a notebook shows them as tables."""

    directory: Path
    study: Study
    """The content of report/metrics.json: scores per arm, seed and site, intervals, differences, configuration."""

    @property
    def report(self) -> Path:
        """The page for the browser."""
        return self.directory / "report" / "index.html"

    @property
    def model(self) -> Path:
        """The folder of the federated model, for `load_tagger` and `transformers.pipeline`."""
        return self.directory / "model"

    def _repr_html_(self) -> str:
        return render_summary(self.study)


def open_run(directory: str | Path) -> Run:
    """Open what `simulate`, `compare` or `fedner fetch` wrote.

    Raises:
        RunDirectoryError: there is no report of a finished run, or it cannot be read.
    """
    place = Path(directory)
    return Run(place, read_study(place))
