"""Verbs about text: data check, data stats."""

import sys

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, stdout, tell_notices
from fedner.cli.models import Parser
from fedner.config import Config
from fedner.errors import ConfigError, DataError

DATA = """\
fedner data check | stats: look at a corpus before training on it

example: fedner data check data=files data.train=[train.conll] data.dev=[dev.conll] data.contract_file=labels.yaml
         fedner data check --contract labels.yaml --site site.yaml
         fedner data stats data=conll2003
  check             read every file to its end or first error; says what is wrong, where, and what to do
  stats             documents, sentences, words and entities per split and type
  --contract, --site  with check: what a site file makes of the site's own types under the contract, with counts before
                    and after and examples of the text, for the site's own terminal only
  --json            one line of JSON, without any text
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
    if arguments[0] == "check" and {"--contract", "--site"} & set(rest):
        _check_site(rest, as_json)
        return
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


def _check_site(arguments: list[str], as_json: bool) -> None:
    from fedner.config.site import read_site
    from fedner.data.labels import read_contract
    from fedner.data.mapping_check import check_mapping, mapping_tables

    parser = Parser(prog="fedner data check")
    parser.add_argument("--contract", required=True, metavar="FILE")
    parser.add_argument("--site", required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    report = check_mapping(read_site(options.site), read_contract(options.contract))
    if as_json:
        print_json(report.to_json())
    elif report.ok:  # else the counts are not those of the text
        for table in mapping_tables(report):
            stdout().print(table)
        print("\n".join(f"warning: {warning}" for warning in report.warnings), end="\n" if report.warnings else "")
    for problem in report.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if not report.ok:
        raise DataError("data check: the site file does not fit the site's text; mend what is named and check again")


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
