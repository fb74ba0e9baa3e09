"""Verbs that train and tell: simulate, compare, report, config."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from fedner.cli.compose import config_folder, run_composed
from fedner.cli.console import stderr, stdout, tell_notices, watching
from fedner.cli.reference import reference
from fedner.config import Config, dumps, to_plain
from fedner.errors import ConfigError

OVERRIDES = """\
overrides:
  GROUP=OPTION      {groups}
  GROUP.KEY=VALUE   any value of the chosen options; `fedner config` prints them all
  name=NAME         run directory under output= (default: runs/)
  --from RUN        take the configuration saved in a run directory, then the overrides
  --multirun        one run per combination of comma-separated values
  --config-dir DIR  a folder with groups of your own
"""

SIMULATE = """\
fedner simulate: run one federation on this machine and write its report

example: fedner simulate partition=dirichlet partition.alpha=0.3 federation.rounds=10 training.lr=2e-4
no download: fedner simulate experiment=smoke
stopped or killed: fedner simulate resume=runs/NAME goes on after the last whole round, to the result it would have had;
    with federation.rounds=N a finished run goes on, too
"""

COMPARE = """\
fedner compare: train centralized, federated and each site alone on the same data, and tell who gains what

example: fedner compare data=sites data.root=hospitals/ data.contract_file=labels.yaml \\
             partition=natural partition.by=site
An interrupted comparison goes on with what is missing when it is called again with the same name.

"""

CONFIG = """\
fedner config: print the resolved configuration and stop

example: fedner config experiment=demo training.lr=5e-5
  --json            one line of JSON
  --toml            a file for `flwr run . local --run-config FILE`; relative paths are seen from this folder
  --keys            every key with type, default and meaning, in Markdown

"""

REPORT = """\
fedner report: draw the report of a run or comparison again from its metrics.json

example: fedner report runs/demo
"""


def _groups() -> str:
    folders = sorted(path for path in config_folder().iterdir() if path.is_dir())
    lines = [f"{path.name}={{{','.join(sorted(option.stem for option in path.glob('*.yaml')))}}}" for path in folders]
    return ("\n" + " " * 20).join(lines)


def _helped(arguments: list[str], text: str) -> bool:
    if "--help" not in arguments and "-h" not in arguments:
        return False
    print(text + OVERRIDES.format(groups=_groups()), end="")
    return True


def simulate(arguments: list[str]) -> None:
    """`fedner simulate`."""
    if _helped(arguments, SIMULATE):
        return
    from_run, overrides = _resumed(arguments)
    if from_run is None:
        run_composed("simulate", arguments, lambda config: _train("simulate", arguments, config))
        return
    if "--from" in overrides or "--multirun" in overrides:
        raise ConfigError(
            "resume: expected values to change at most, got --from or --multirun; a run goes on as it began"
        )
    saved = ["--from", str(from_run), *overrides]
    run_composed("simulate", saved, lambda config: _train("simulate", arguments, config, from_run))


def _resumed(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Split `resume=RUN` from the other arguments."""
    named = [argument for argument in arguments if argument.startswith("resume=")]
    if not named:
        return None, arguments
    if len(named) > 1 or named[0] == "resume=":
        raise ConfigError("resume: expected one run directory, as in resume=runs/NAME")
    return Path(named[0].removeprefix("resume=")), [argument for argument in arguments if argument not in named]


def compare(arguments: list[str]) -> None:
    """`fedner compare`."""
    if not _helped(arguments, COMPARE):
        run_composed("compare", arguments, lambda config: _train("compare", arguments, config))


def _train(verb: str, arguments: list[str], config: Config, resumed: Path | None = None) -> None:
    # Torch, transformers and Flower take seconds to import; help and config errors must not wait for them.
    from fedner import experiments
    from fedner.report import print_summary, read_study

    command = shlex.join(["fedner", verb, *arguments])
    with watching() as progress:
        if resumed is not None:
            directory = experiments.resume(resumed, config, command, progress)
        else:
            run: Callable[..., Path] = getattr(experiments, verb)
            directory = run(config, command, progress)
    study = read_study(directory)
    tell_notices(list(study.notices))
    print_summary(study, stdout())
    stderr().print(f"report: {directory / 'report' / 'index.html'}", markup=False, soft_wrap=True)


def report(arguments: list[str]) -> None:
    """`fedner report`."""
    if "--help" in arguments or "-h" in arguments:
        print(REPORT, end="")
        return
    if len(arguments) != 1:
        raise ConfigError(f"report: expected one run directory, got {len(arguments)} arguments")
    from fedner import experiments
    from fedner.report import print_summary, read_study

    directory = Path(arguments[0])
    experiments.report(directory)
    print_summary(read_study(directory), stdout())


def config(arguments: list[str]) -> None:
    """`fedner config`."""
    if _helped(arguments, CONFIG):
        return
    if arguments == ["--keys"]:
        sys.stdout.write(reference())
        return
    form = next((argument for argument in arguments if argument in ("--json", "--toml")), "--yaml")
    rest = [argument for argument in arguments if argument != form]
    run_composed("config", rest, lambda composed: print(_written(composed, form), end=""))


def _written(config: Config, form: str) -> str:
    if form == "--json":
        return dumps(config) + "\n"
    if form == "--toml":
        # JSON strings are TOML strings too, but for characters that JSON may leave as they are.
        return f"config = {json.dumps(dumps(config))}\nfolder = {json.dumps(str(Path.cwd()))}\n"
    return yaml.safe_dump(to_plain(config), sort_keys=False)
