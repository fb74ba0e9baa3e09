"""Verbs about text: data check, data stats, data audit; overlap.py has those about several sites' text."""

import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import fields

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json, print_notices, stdout
from fedner.cli.options import composed_words
from fedner.config import Config, TrainingConfig
from fedner.config.site import read_site
from fedner.data.auditing import AuditOptions, AuditReport, Beliefs
from fedner.data.auditing import audit as audit_text
from fedner.data.checking import check as check_text
from fedner.data.checking import check_lines
from fedner.data.checking import stats as count_text
from fedner.data.corpus import SPLITS, Corpus, Document, Shard
from fedner.data.exclusion import write_excluded
from fedner.data.labels import LabelContract, read_contract
from fedner.data.loading import load_corpus
from fedner.data.mapping import read_site_shard
from fedner.data.mapping_check import check_mapping
from fedner.errors import ConfigError, DataError
from fedner.report.text.audit import audit_lines, audit_tables
from fedner.report.text.counts import mapping_tables, stats_table


def check(options: Namespace) -> None:
    """`fedner data check`."""
    if options.site is None and options.contract is None:
        run_composed("data check", composed_words(options), lambda config: _check(config, options.json))
    elif options.site is None or options.contract is None or options.overrides:
        raise ConfigError(
            "data check: expected both --contract FILE and --site FILE and no overrides, or overrides alone"
        )
    else:
        _check_site(options)


def _check(config: Config, as_json: bool) -> None:
    report = check_text(config.data)
    if as_json:
        print_json(report.to_json())
    else:
        print("\n".join(check_lines(report)))
    if not report.ok:
        raise DataError("data check: the corpus is not fit to use; correct what the verdicts name and check again")


def _check_site(options: Namespace) -> None:
    report = check_mapping(read_site(options.site), read_contract(options.contract))
    if options.json:
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
        raise DataError("data check: the site file does not fit the site's text; correct what is named and check again")


def audit(options: Namespace) -> None:
    """`fedner data audit`."""
    chosen = AuditOptions(**{each.name: getattr(options, each.name) for each in fields(AuditOptions)})

    def of_config(config: Config) -> None:
        corpus = load_corpus(config.data, require=())
        print_notices([corpus.notice] if corpus.notice else [])
        _audit(corpus.name, corpus.contract, corpus, chosen, options)

    if options.site is None and options.contract is None:
        run_composed("data audit", composed_words(options), of_config)
        return
    if options.site is None or options.contract is None or options.overrides:
        raise ConfigError(
            "data audit: expected both --contract FILE and --site FILE and no overrides, or overrides alone"
        )
    site, contract = read_site(options.site), read_contract(options.contract)
    _audit(site.site, contract, read_site_shard(site, contract), chosen, options)


def _audit(name: str, contract: LabelContract, text: Corpus | Shard, chosen: AuditOptions, options: Namespace) -> None:
    splits = {split: text.split(split) for split in SPLITS}
    beliefs = None if options.model is None else _beliefs(options.model, contract, splits)
    report = audit_text(name, contract, splits, chosen, beliefs)
    if options.write_excluded is not None:
        write_excluded((*report.leaked("dev"), *report.leaked("test")), options.write_excluded)
    if options.json:
        print_json(report.to_json())
    else:
        _show_audit(report)


def _beliefs(model: str, contract: LabelContract, splits: Mapping[str, Sequence[Document]]) -> dict[str, Beliefs]:
    # Torch takes seconds to import, and only --model needs it.
    from fedner.learning.inference import type_beliefs
    from fedner.learning.tagger.model import load_tagger

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


def _show_audit(report: AuditReport) -> None:
    print("note: what follows quotes the text; it is for the site's own terminal only", file=sys.stderr)
    for table in audit_tables(report):
        stdout().print(table)
    print("\n".join(audit_lines(report)))


def stats(options: Namespace) -> None:
    """`fedner data stats`."""
    run_composed("data stats", composed_words(options), lambda config: _stats(config, options.json))


def _stats(config: Config, as_json: bool) -> None:
    corpus = load_corpus(config.data, require=())
    print_notices([corpus.notice] if corpus.notice else [])
    if as_json:
        print_json(count_text(corpus).to_json())
    else:
        stdout().print(stats_table(count_text(corpus)))
    sys.stdout.flush()
