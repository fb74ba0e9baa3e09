"""The facts at the head of every output: corpus, partition, model, aggregation."""

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from fedner.report import wording
from fedner.report.averages import runs_of, seeds_of, sites_of, unseen_of
from fedner.report.study import ARMS, Study


def title(study: Study) -> str:
    """Return what the report is called."""
    compared = runs_of(study, "federated") and runs_of(study, "local")
    return "Did joining pay?" if compared else "Federated run" if runs_of(study, "federated") else "Training run"


def facts(study: Study) -> list[tuple[str, str]]:
    """Return name and value of what the reader must know first; what is not known is left out."""
    return [(name, value) for name, value in _facts(study) if value]


def environment(study: Study) -> list[tuple[str, str]]:
    """Return the environment as flat names and values."""
    return list(_flatten(study.environment))


def configuration(study: Study) -> str:
    """Return the resolved configuration as YAML, in declared order."""
    return yaml.safe_dump(dict(study.config), sort_keys=False, allow_unicode=True).strip() if study.config else ""


def _facts(study: Study) -> Iterator[tuple[str, str]]:
    seeds = sorted({seed for arm in ARMS for seed in seeds_of(study, arm)})
    unseen = len(unseen_of(study))
    sites = len(sites_of(study))
    yield "Text", f"{study.corpus} (synthetic)" if study.synthetic and study.corpus != "synthetic" else study.corpus
    yield "Sites", f"{sites}, and {unseen} unseen" if sites and unseen else str(sites or "")
    yield "Partition", _kind(study.config.get("partition"), "alpha", "exponent", "by")
    yield "Model", str((study.config.get("model") or {}).get("name") or "")
    yield "Aggregation", _kind(study.config.get("aggregation"))
    rounds = (study.config.get("federation") or {}).get("rounds")
    yield "Rounds", str(rounds or "")
    yield ("Seeds" if len(seeds) > 1 else "Seed"), wording.listed([str(seed) for seed in seeds])
    yield "Entity types", wording.listed(study.types, 12)
    yield "State", "" if study.complete else f"incomplete, {wording.counted(len(study.missing), 'run')} missing"


def _kind(group: Mapping[str, Any] | None, *settings: str) -> str:
    """Return the kind of a config group, with its settings where it has them: `dirichlet (alpha 0.3)`."""
    if not group or not group.get("kind"):
        return ""
    said = [f"{name} {group[name]}" for name in settings if group.get(name) is not None]
    return f"{group['kind']} ({', '.join(said)})" if said else str(group["kind"])


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield f"{prefix}{name}", ", ".join(map(str, value))
        else:
            yield f"{prefix}{name}", str(value)
