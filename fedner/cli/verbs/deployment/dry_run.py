"""`fedner policy show`, `fedner client --dry-run`: what would leave a site in a run, under its policy."""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from flwr.app import Context, RecordDict

from fedner.cli.compose import run_composed
from fedner.cli.console import print_json
from fedner.cli.options import composed_words
from fedner.config import Config
from fedner.deployment.provisioning.kit import read_kit
from fedner.site.dry_run import LATER, Leaving, preview
from fedner.site.node_config import CONTRACT, SITE_FILE


def show(options: Namespace) -> None:
    """`fedner policy show`."""
    _show(options, options.contract, options.json)


def client(options: Namespace) -> None:
    """`fedner client --dry-run`."""
    _show(options, read_kit(options.kit).contract_file, as_json=False)


def _show(options: Namespace, contract: Path, as_json: bool) -> None:
    """Print what would leave a site in the run that overrides or --from RUN describe.

    Raises:
        InputError: the site file, its text, the contract or the config is at fault.
    """
    files: dict[str, str | int | float | bool] = {
        SITE_FILE: str(options.site.resolve()),
        CONTRACT: str(contract.resolve()),
    }

    def of_config(config: Config) -> None:
        context = Context(run_id=0, node_id=0, node_config=files, state=RecordDict(), run_config={})
        found = preview(config, context)
        if as_json:
            print_json([_as_json(each) for each in found])
        else:
            print("\n".join(line for each in found for line in _lines(each)))

    start = [] if options.saved is not None else ["data=at_sites", "partition=natural"]
    run_composed("policy show", [*start, *composed_words(options)], of_config)


def _lines(leaving: Leaving) -> Iterator[str]:
    content = leaving.content
    size = f"{len(content.tensors)} tensors, {len(content.values)} values, {content.num_bytes:,} bytes"
    yield f"{leaving.request.value}: {f'refused, {leaving.refusal}' if leaving.refusal else size}"
    for tensor in content.tensors:
        yield f"  {tensor.name}  {list(tensor.shape)} {tensor.dtype}  {tensor.num_bytes:,} bytes"
    for value in content.values:
        yield f"  {value.name}  {_shown(value.name, value.text)}"
    yield ""


def _shown(name: str, text: str) -> str:
    if name not in LATER:
        return text
    numbers = text.count(",") + 1
    return "known after the work" if numbers == 1 else f"{numbers} numbers in contract order, known after the work"


def _as_json(leaving: Leaving) -> dict[str, object]:
    content = leaving.content
    return {
        "request": leaving.request.value,
        "refusal": None if leaving.refusal is None else str(leaving.refusal),
        "num_bytes": content.num_bytes,
        "tensors": [
            {"name": each.name, "shape": list(each.shape), "dtype": each.dtype, "num_bytes": each.num_bytes}
            for each in content.tensors
        ],
        "values": [each.name for each in content.values],
    }
