"""`fedner matrix`: several trained models on several sites' text."""

from argparse import Namespace
from collections.abc import Mapping, Sequence

import numpy as np

from fedner.cli.console import print_json, stdout
from fedner.config import TrainingConfig
from fedner.data.corpus import Document
from fedner.data.labels import LabelContract, difference
from fedner.data.reading import read_documents
from fedner.errors import ConfigError, LabelError
from fedner.files import write_json
from fedner.learning.rescoring import count_twice
from fedner.learning.tagger.model import load_tagger, model_contract
from fedner.metrics import CrossSiteMatrix, DocumentCounts, MatrixCell, MatrixRow, local_interval, signature, total
from fedner.records.results import SCHEMA
from fedner.report import print_matrix, write_matrix

SAMPLES = 1000
"""Document resamples behind every interval."""


def matrix(options: Namespace) -> None:
    """`fedner matrix`."""
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
    return tuple(document for name in files for document in read_documents(name, contract))


def _crossed(
    models: Mapping[str, str],
    texts: Mapping[str, tuple[Document, ...]],
    contract: LabelContract,
    config: TrainingConfig,
) -> CrossSiteMatrix:
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


def _cell(counts: DocumentCounts) -> MatrixCell:
    interval = local_interval([[counts]], samples=SAMPLES)
    return MatrixCell({0: total(counts)}, interval.low, interval.high)


def _signature(contract: LabelContract, num_documents: int) -> str:
    return f"{signature(contract, documents=num_documents, samples=SAMPLES)}|checked-with:seqeval"
