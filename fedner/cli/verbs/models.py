"""Verbs about a trained model: predict, evaluate."""

import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.table import Table

from fedner.cli.console import print_json, stdout
from fedner.config import TextFormat, TrainingConfig
from fedner.data.reading import AnnotatedText, Place, read_documents
from fedner.data.reading.formats.texts import read_texts
from fedner.data.writing import MarkedText, write_bioc, write_brat, write_conll, write_jsonl
from fedner.errors import ConfigError, DataError
from fedner.learning.entities import mark_texts
from fedner.learning.rescoring import count_twice
from fedner.learning.tagger.model import load_tagger
from fedner.metrics import score, signature, total


def predict(options: Namespace) -> None:
    """`fedner predict`."""
    if options.format == "brat" and options.output is None:
        raise ConfigError("fedner predict: --format brat writes a folder; name it with --output")
    config = TrainingConfig(device=options.device, threads=options.threads)
    texts = _texts(options.files, TextFormat(options.input), options.encoding)
    _write(mark_texts(load_tagger(options.model), texts, config), options.format, options.output)


def _texts(files: list[str], form: TextFormat, encoding: str) -> Iterator[AnnotatedText]:
    if not files:
        try:
            for number, line in enumerate(sys.stdin, start=1):
                yield AnnotatedText(None, line.rstrip("\r\n"), (), Place("standard input", number))
        except UnicodeDecodeError as error:
            raise DataError(
                f"is not {error.encoding} at byte {error.start:,} of what was read last; convert it first",
                "standard input",
            ) from error
    for name in files:
        yield from read_texts(name, form, encoding)


def _write(marked: Iterable[MarkedText], form: str, output: Path | None) -> None:
    """Write in the format; a file appears once it is whole."""
    if form == "brat":
        assert output is not None
        write_brat(marked, output)
        return
    write = {"bioc": write_bioc, "jsonl": write_jsonl, "conll": write_conll}[form]
    if output is None:
        write(marked, sys.stdout)
        return
    if output.is_dir():
        raise DataError(f"expected a file to write {form} to, got a folder", output)
    partial = output.with_name(f"{output.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            write(marked, out)
        partial.replace(output)
    except OSError as error:
        raise DataError(
            f"cannot be written ({error.strerror}); check the folder and its permissions", output
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def evaluate(options: Namespace) -> None:
    """`fedner evaluate`."""
    tagger = load_tagger(options.model)
    config = TrainingConfig(device=options.device, threads=options.threads)
    documents = tuple(document for name in options.files for document in read_documents(name, tagger.contract))
    found = score(total(count_twice(tagger, documents, config)), tagger.contract)
    how = signature(tagger.contract, documents=len(documents))
    if options.json:
        print_json({"score": found.to_json(), "signature": how})
        return
    table = Table("", "precision", "recall", "F1", "entities")
    for name, prf in [*found.types.items(), ("all (micro)", found.micro)]:
        table.add_row(name, f"{prf.precision:.4f}", f"{prf.recall:.4f}", f"{prf.f1:.4f}", f"{prf.support:,}")
    stdout().print(table)
    print(f"{how}|checked-with:seqeval")
