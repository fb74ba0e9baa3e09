"""Verbs that train and report: simulate, compare."""

from argparse import Namespace
from pathlib import Path

from fedner.cli.compose import run_composed
from fedner.cli.console import print_notices, stderr, stdout, watching
from fedner.cli.options import composed_words
from fedner.config import Config
from fedner.errors import ConfigError
from fedner.report import print_summary, read_study


def simulate(options: Namespace) -> None:
    """`fedner simulate`."""
    named = [word for word in options.overrides if word.startswith("resume=")]
    if len(named) > 1 or "resume=" in named:
        raise ConfigError("resume: expected one run directory, as in resume=runs/NAME")
    if named and (options.saved is not None or options.multirun):
        raise ConfigError(
            "resume: expected values to change at most, got --from or --multirun; a run continues as it began"
        )
    resumed = None
    if named:
        options.saved = named[0].removeprefix("resume=")
        options.overrides.remove(named[0])
        resumed = Path(options.saved)
    run_composed("simulate", composed_words(options), lambda config: _train(config, options, resumed))


def compare(options: Namespace) -> None:
    """`fedner compare`."""
    run_composed("compare", composed_words(options), lambda config: _train(config, options, compared=True))


def _train(config: Config, options: Namespace, resumed: Path | None = None, compared: bool = False) -> None:
    # Torch, transformers and Flower take seconds to import; a mistyped key must not wait for them.
    from fedner import experiments

    with watching() as progress:
        if resumed is not None:
            directory = experiments.resume(resumed, config, options.command, progress)
        else:
            run = experiments.compare if compared else experiments.simulate
            directory = run(config, options.command, progress)
    study = read_study(directory)
    print_notices(study.notices)
    print_summary(study, stdout())
    stderr().print(f"report: {directory / 'report' / 'index.html'}", markup=False, soft_wrap=True)
