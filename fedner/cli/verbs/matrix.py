"""The verb about several trained models on several sites' text: matrix."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fedner.cli.console import print_json, stdout
from fedner.cli.options import add_device_options, option_parser
from fedner.config import TrainingConfig
from fedner.data.corpus import Document
from fedner.data.labels import LabelContract
from fedner.errors import ConfigError, LabelError

if TYPE_CHECKING:
    from fedner.metrics import CrossSiteMatrix, DocumentCounts, MatrixCell

SAMPLES = 1000
"""Document resamples behind every interval."""


def matrix(arguments: list[str]) -> None:
    """`fedner matrix`."""
    parser = option_parser(
        "matrix",
        "Score several trained models on several sites' test text: every model on every site, strict entity-level F1.\n"
        "All models must hold the same label contract. A model named as a site counts as that site's own.",
        "fedner matrix --models joined=runs/joined/model north=runs/north/model \\\n"
        "                       --sites north=north/test.conll south=south/test.conll --output crossed",
    )
    wanted = "NAME=PLACE"
    parser.add_argument("--models", nargs="+", required=True, metavar=wanted, help="`model` folders of runs")
    parser.add_argument(
        "--sites", nargs="+", required=True, metavar=wanted, help="CoNLL or JSONL files; a site named twice has both"
    )
    parser.add_argument("--output", type=Path, help="folder for matrix.json, matrix.md and matrix.svg")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    add_device_options(parser)
    options = parser.parse_args(arguments)
    from fedner.files import write_json
    from fedner.records.results import SCHEMA
    from fedner.report import print_matrix, write_matrix

    models = {name: places[0] for name, places in _named("--models", options.models, once=True).items()}
    sites = _named("--sites", options.sites)
    contract = _shared_contract(models)
    texts = {site: _documents(files, contract) for site, files in sites.items()}
    found = _crossed(models, texts, contract, TrainingConfig(device=options.device, threads=options.threads))
    how = _signature(contract, sum(map(len, texts.values())))
    content = {
        "schema": SCHEMA,
        "contract": {"hash": contract.digest, "types": list(contract.type_names)},
        "models": models,
        "sites": sites,
        "matrix": found.to_json(),
        "signature": how,
    }
    if options.output is not None:
        write_json(options.output / "matrix.json", content)
        write_matrix(found, options.output, how)
    if options.json:
        print_json(content)
        return
    print_matrix(found, stdout(), str(options.output / "matrix.md") if options.output else "the output of --json")
    print(how)


def _named(option: str, given: Sequence[str], once: bool = False) -> dict[str, list[str]]:
    """Return name -> places of what was given as NAME=PLACE."""
    found: dict[str, list[str]] = {}
    for argument in given:
        name, equals, place = argument.partition("=")
        if not name or not equals or not place:
            raise ConfigError(f"matrix: {option} expected NAME=PLACE, got '{argument}'")
        if once and name in found:
            raise ConfigError(f"matrix: {option} expected different names, got '{name}' twice")
        found.setdefault(name, []).append(place)
    return found


def _shared_contract(models: Mapping[str, str]) -> LabelContract:
    """Return the contract of all models, read before any is loaded.

    Raises:
        LabelError: two of them differ, with the difference.
    """
    from fedner.data.labels import difference
    from fedner.learning.model import model_contract

    contracts = {name: model_contract(folder) for name, folder in models.items()}
    first, shared = next(iter(contracts.items()))
    for name, contract in contracts.items():
        if contract.digest != shared.digest:
            raise LabelError(
                f"matrix: models '{first}' (ours) and '{name}' (theirs) hold different label contracts, so their "
                f"scores cannot stand in one table:\n{difference(shared, contract)}"
            )
    return shared


def _documents(files: Sequence[str], contract: LabelContract) -> tuple[Document, ...]:
    from fedner.data.reading import read_documents

    return tuple(document for name in files for document in read_documents(name, contract))


def _crossed(
    models: Mapping[str, str],
    texts: Mapping[str, tuple[Document, ...]],
    contract: LabelContract,
    config: TrainingConfig,
) -> "CrossSiteMatrix":
    import numpy as np

    from fedner.learning.model import load_tagger
    from fedner.learning.rescoring import count_twice
    from fedner.metrics import CrossSiteMatrix, MatrixRow

    rows: list[MatrixRow] = []
    for name, folder in models.items():
        tagger = load_tagger(folder)  # one at a time: ten models need the memory of one
        counts = {site: count_twice(tagger, documents, config) for site, documents in texts.items()}
        rows.append(
            MatrixRow(
                model=name,
                arm="",
                site=name if name in texts else "",
                pooled=_cell(np.concatenate(list(counts.values()))),
                cells={site: _cell(found) for site, found in counts.items()},
            )
        )
    return CrossSiteMatrix(sites=tuple(texts), unseen=(), types=contract.type_names, rows=tuple(rows))


def _cell(counts: "DocumentCounts") -> "MatrixCell":
    from fedner.metrics import MatrixCell, local_interval, total

    interval = local_interval([[counts]], samples=SAMPLES)
    return MatrixCell({0: total(counts)}, interval.low, interval.high)


def _signature(contract: LabelContract, num_documents: int) -> str:
    from fedner.metrics import signature

    return f"{signature(contract, documents=num_documents, samples=SAMPLES)}|checked-with:seqeval"
