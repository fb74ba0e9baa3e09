"""Verbs about text: data check, data stats, data audit; overlap.py has those about several sites' text."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, stdout, tell_notices
from fedner.cli.options import Parser
from fedner.cli.verbs.overlap import OVERLAP, overlap_verb
from fedner.config import Config
from fedner.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fedner.data.auditing import AuditReport, Beliefs
    from fedner.data.corpus import Document
    from fedner.data.labels import LabelContract

DATA = """\
fedner data check | stats | audit: look at a corpus before training on it

example: fedner data check data=files data.train=[train.conll] data.dev=[dev.conll] data.contract_file=labels.yaml
         fedner data check --contract labels.yaml --site site.yaml
         fedner data stats data=conll2003
         fedner data audit --contract labels.yaml --site site.yaml --threshold 0.7
  check             read every file to its end or first error; says what is wrong, where, and what to do
  stats             documents, sentences, words and entities per split and type
  audit             what makes scores too good or too bad: duplicates within and across splits, words annotated in two
                    ways, rare types, unusual lengths; quotes the text, for the site's own terminal only
    --threshold     Jaccard similarity from which texts are near-duplicates (0.8), over shingles of --shingle words (3)
    --min-words     sentences shorter than this are not compared (8)
    --rare          types with fewer entities in a split are named (10)
    --plain-share   words annotated elsewhere are named if plain in more than this share of their places (0.1)
    --model         a trained model's folder: what it contradicts with confidence is named as well
    --write-excluded  a new file for the ids of dev and test documents that lie in train, for data.exclude_documents
  --contract, --site  with audit: the text that a site file names; with check: what it makes of the site's own types
                    under the contract, with counts before and after and examples of the text, for the site's own
                    terminal only
  --json            one line of JSON, without any text
overrides are those of `fedner simulate`; only the data group matters here.

"""


def data(arguments: list[str]) -> None:
    """`fedner data check | stats | audit | fingerprint | overlap | lookup`."""
    if not arguments or "--help" in arguments or "-h" in arguments:
        print(DATA + OVERLAP, end="")
        return
    actions = {"check": _check, "stats": _stats}
    if arguments[0] in ("fingerprint", "overlap", "lookup"):
        overlap_verb(arguments[0], arguments[1:])
        return
    if arguments[0] not in (*actions, "audit"):
        wanted = "check, stats, audit, fingerprint, overlap or lookup"
        raise ConfigError(f"data: expected {wanted}, got '{arguments[0]}'")
    as_json = "--json" in arguments
    rest = [argument for argument in arguments[1:] if argument != "--json"]
    if arguments[0] == "audit":
        _audit(rest, as_json)
        return
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
    from fedner.data.mapping_check import check_mapping
    from fedner.report.text.counts import mapping_tables

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
        for change in report.changes:
            print(f"as read: {change}")
        for warning in report.warnings:
            print(f"warning: {warning}")
    for problem in report.problems:
        print(f"problem: {problem}", file=sys.stderr)
    if not report.ok:
        raise DataError("data check: the site file does not fit the site's text; mend what is named and check again")


def _audit(arguments: list[str], as_json: bool) -> None:
    from fedner.config.site import read_site
    from fedner.data.auditing import AuditOptions, audit
    from fedner.data.corpus import SPLITS, Corpus, Shard
    from fedner.data.exclusion import write_excluded
    from fedner.data.labels import read_contract
    from fedner.data.loading import load_corpus
    from fedner.data.mapping import read_site_shard

    chosen, overrides = _audit_parser().parse_known_args(arguments)
    options = AuditOptions(**{each.name: getattr(chosen, each.name) for each in fields(AuditOptions)})

    def tell(name: str, contract: "LabelContract", text: Corpus | Shard) -> None:
        splits = {split: text.split(split) for split in SPLITS}
        beliefs = None if chosen.model is None else _beliefs(chosen.model, contract, splits)
        report = audit(name, contract, splits, options, beliefs)
        if chosen.write_excluded is not None:
            write_excluded((*report.leaked("dev"), *report.leaked("test")), chosen.write_excluded)
        if as_json:
            print_json(report.to_json())
        else:
            _show_audit(report)

    def of_config(config: Config) -> None:
        corpus = load_corpus(config.data, require=())
        tell_notices([corpus.notice] if corpus.notice else [])
        tell(corpus.name, corpus.contract, corpus)

    if chosen.site is None and chosen.contract is None:
        run_composed("data audit", overrides, of_config)
        return
    if chosen.site is None or chosen.contract is None or overrides:
        raise ConfigError(
            "data audit: expected both --contract FILE and --site FILE and no overrides, or overrides alone"
        )
    site, contract = read_site(chosen.site), read_contract(chosen.contract)
    tell(site.site, contract, read_site_shard(site, contract))


def _beliefs(model: str, contract: "LabelContract", splits: "Mapping[str, Sequence[Document]]") -> "dict[str, Beliefs]":
    from fedner.config import TrainingConfig
    from fedner.learning.inference import type_beliefs
    from fedner.learning.model import load_tagger

    tagger = load_tagger(model)
    found, wanted = (each.type_names for each in (tagger.contract, contract))
    if found != wanted:
        raise ConfigError(
            f"--model {model}: expected a model of the text's types {', '.join(wanted)}, in this order, got one of "
            f"{', '.join(found)}"
        )
    return {
        split: type_beliefs(tagger, documents, TrainingConfig()) for split, documents in splits.items() if documents
    }


def _audit_parser() -> Parser:
    from fedner.data.auditing import AuditOptions

    parser = Parser(prog="fedner data audit", allow_abbrev=False)
    for name in ("--contract", "--site", "--write-excluded", "--model"):
        parser.add_argument(name, metavar="FILE")
    for each in fields(AuditOptions):
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=type(each.default), default=each.default)
    return parser


def _show_audit(report: "AuditReport") -> None:
    from fedner.report.text.audit import audit_lines, audit_tables

    print("note: what follows quotes the text; it is for the site's own terminal only", file=sys.stderr)
    for table in audit_tables(report):
        stdout().print(table)
    print("\n".join(audit_lines(report)))


def _stats(config: Config, as_json: bool) -> None:
    from fedner.data.checking import stats
    from fedner.data.loading import load_corpus
    from fedner.report.text.counts import stats_table

    corpus = load_corpus(config.data, require=())
    if corpus.notice:
        tell_notices([corpus.notice])
    if as_json:
        print_json(stats(corpus).to_json())
    else:
        stdout().print(stats_table(stats(corpus)))
    sys.stdout.flush()
