"""Lists of keys follow from declarations; the lists written out here are the oracle."""

import ast
import inspect
from collections.abc import Iterator
from dataclasses import Field, fields, is_dataclass
from itertools import pairwise
from typing import Any

from omegaconf import OmegaConf

from fedner.config import CLASSES_BY_GROUP, Arm, Config, ExperimentConfig, FederationConfig
from fedner.config.knobs import PathKind, keys, meaning
from fedner.config.site import SiteConfig
from fedner.experiments.study_directory import ARM_KEYS, FREE_KEYS
from fedner.records.run_directory import RESUMABLE_KEYS

TIMING = (
    "workers",
    "wait_seconds",
    "deadline_seconds",
    "grace_seconds",
    "straggler_seconds",
    "missed_quorum",
    "retries",
)
# String knobs whose description speaks of files or folders though their value is none.
NO_PATHS = {"Config.name", "TextFilesData.encoding", "SitesData.sites", "SitesData.unseen", "TrackingConfig.mlflow_uri"}


def in_federation(*names: str) -> set[str]:
    return {f"federation.{name}" for name in names}


def test_a_resumed_run_may_change_how_long_it_lasts_and_waits_and_nothing_that_a_round_depends_on() -> None:
    wanted = {"name", "output", "experiment", "tracking"} | in_federation("rounds", "spill_bytes", *TIMING)
    assert set(RESUMABLE_KEYS) == wanted
    assert len(RESUMABLE_KEYS) == len(wanted)


def test_two_calls_of_a_comparison_may_differ_in_what_changes_no_run() -> None:
    experiment = ("arms", "seeds", "lr_grid", "bootstrap_samples", "confidence", "check_test")
    wanted = {"name", "output", "seed", "tracking", "federation.spill_bytes", *(f"experiment.{k}" for k in experiment)}
    assert set(FREE_KEYS) == wanted
    assert len(FREE_KEYS) == len(wanted)


def test_one_arm_alone_depends_on_the_federation_and_one_on_how_long_it_is_fine_tuned() -> None:
    participation = ("fraction", "min_sites", "min_share", "mandatory", "weighting", "weight_cap", "max_update_norm")
    federated = in_federation("max_refusals", "public_dev", "spares", *participation, *TIMING)
    training = {f"training.{name}" for name in ("optimizer_state", "prox_mu", "scaffold", "dyn_alpha")}
    assert set(ARM_KEYS[Arm.federated]) == {"aggregation", "model.personal"} | federated | training
    assert set(ARM_KEYS[Arm.fine_tuned]) == {"experiment.fine_tune_rounds"}
    assert keys(Config, lambda knob: knob.arm in (Arm.centralized, Arm.local)) == ()


def test_trackers_receive_no_place_no_study_and_no_contract() -> None:
    withheld = {"name", "output", "experiment", "tracking", "federation.public_dev", "data.contract"}
    assert set(keys(Config, lambda knob: not knob.tracked)) == withheld


def test_every_knob_of_rounds_and_of_comparisons_declares_whether_it_may_change() -> None:
    undeclared = [e.name for schema in (FederationConfig, ExperimentConfig) for e in fields(schema) if not e.metadata]
    assert undeclared == []


def test_every_knob_that_holds_a_path_declares_it() -> None:
    found: dict[str, PathKind | None] = {}
    for schema, entry in knobs():
        schema = declaring(schema, entry)
        name, words = f"{schema.__name__}.{entry.name}", described(schema, entry).lower()
        if "str" in str(entry.type) and any(word in words for word in ("file", "folder", "director")):
            found[name] = meaning(entry).path
        assert meaning(entry).path is None or name in found, name
    assert {name for name, kind in found.items() if kind is None} == NO_PATHS
    assert {name for name, kind in found.items() if kind is PathKind.folder_or_name} == {
        "ModelConfig.name",
        "HubData.path",
    }


def test_a_declaration_leaves_the_schema_as_it_is() -> None:
    assert OmegaConf.structured(FederationConfig).rounds == 10


def knobs() -> Iterator[tuple[type, Field[Any]]]:
    waiting: list[type] = [
        Config,
        SiteConfig,
        *(each for group in CLASSES_BY_GROUP.values() for each in group.values()),
    ]
    while waiting:
        schema = waiting.pop()
        for entry in fields(schema):
            if isinstance(entry.type, type) and is_dataclass(entry.type):
                waiting.append(entry.type)
            else:
                yield schema, entry


def declaring(schema: type, entry: Field[Any]) -> type:
    return next(each for each in schema.__mro__ if entry.name in inspect.get_annotations(each))


def described(schema: type, entry: Field[Any]) -> str:
    """Return the docstring that follows a field in the source."""
    (body,) = (each.body for each in ast.parse(inspect.getsource(schema)).body if isinstance(each, ast.ClassDef))
    for node, text in pairwise(body):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == entry.name:
            return ast.unparse(text)
    return ""
