"""Verbs about text: data check, data stats."""

import sys

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, stdout, tell_notices
from fedner.config import Config
from fedner.errors import ConfigError, DataError

DATA = """\
fedner data check | stats: look at a corpus before training on it

example: fedner data check data=files data.train=[train.conll] data.dev=[dev.conll] data.contract_file=labels.yaml
         fedner data stats data=conll2003
  check             read every file to its end or first error; says what is wrong, where, and what to do
  stats             documents, sentences, words and entities per split and type
  --json            one line of JSON
overrides are those of `fedner simulate`; only the data group matters here.
"""


def data(arguments: list[str]) -> None:
    """`fedner data check | stats`."""
    if not arguments or "--help" in arguments or "-h" in arguments:
        print(DATA, end="")
        return
    actions = {"check": _check, "stats": _stats}
    if arguments[0] not in actions:
        raise ConfigError(f"data: wanted check or stats, found '{arguments[0]}'")
    as_json = "--json" in arguments
    rest = [argument for argument in arguments[1:] if argument != "--json"]
    run_composed(f"data {arguments[0]}", rest, lambda config: actions[arguments[0]](config, as_json))


def _check(config: Config, as_json: bool) -> None:
    from fedner.data.checking import check, check_lines

    report = check(config.data)
    if as_json:
        print_json(report.to_json())
    else:
        print("\n".join(check_lines(report)))
    if not report.ok:
        raise DataError("data check: the corpus is not fit to use; mend what the verdicts name and check again")


def _stats(config: Config, as_json: bool) -> None:
    from fedner.data.checking import stats, stats_table
    from fedner.data.loading import load_corpus

    corpus = load_corpus(config.data, require=())
    if corpus.notice:
        tell_notices([corpus.notice])
    if as_json:
        print_json(stats(corpus).to_json())
    else:
        stdout().print(stats_table(stats(corpus)))
    sys.stdout.flush()
