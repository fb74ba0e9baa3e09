"""A config survives its one line of JSON unchanged, and everything else is refused with the key at fault."""

import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.config import (
    CLASSES_BY_GROUP,
    AggregationKind,
    Arm,
    BulyanAggregation,
    Config,
    ContractConfig,
    DataKind,
    DirichletPartition,
    ExperimentConfig,
    FedAdamAggregation,
    FederationConfig,
    FedYogiAggregation,
    FilesData,
    HubData,
    IidPartition,
    KrumAggregation,
    ModelConfig,
    NaturalPartition,
    PartitionKind,
    Precision,
    QuantityPartition,
    SitesData,
    SyntheticData,
    TagScheme,
    TrainingConfig,
    TrimmedMeanAggregation,
    dumps,
    from_plain,
    loads,
    to_plain,
)
from fedner.errors import ConfigError

EVERY_OPTION = [
    pytest.param(group, kind, id=f"{group}={kind}") for group, classes in CLASSES_BY_GROUP.items() for kind in classes
]
# Fields that have no default of their own.
REQUIRED: dict[str, dict[str, str]] = {DataKind.sites: {"root": "corpus"}, DataKind.hub: {"path": "conll2003"}}


def plain_config(**groups: dict[str, Any]) -> dict[str, Any]:
    """Return a small valid config as plain values, with the given groups in place of its own."""
    return {
        "data": {"kind": "synthetic"},
        "partition": {"kind": "iid"},
        "aggregation": {"kind": "fedavg"},
    } | groups


def changed(path: str, value: object, **groups: dict[str, Any]) -> dict[str, Any]:
    """Return `plain_config(**groups)` with the value at a dotted path set."""
    plain = plain_config(**groups)
    place = plain
    *parents, last = path.split(".")
    for name in parents:
        place = place.setdefault(name, {})
    place[last] = value
    return plain


def rich_config() -> Config:
    """A config in which many values, and every nested and listed one, differ from their defaults."""
    return Config(
        name="Überlauf «eins»",
        seed=17,
        data=FilesData(
            contract=ContractConfig(
                name="klinik", version=3, types={"PATIENT": "who was treated", "DRUG": "what: with"}
            ),
            scheme=TagScheme.bioes,
            train_sentences=100,
            train=["a b.conll", "c.conll"],
            dev=["d.conll"],
            encoding="latin-1",
            word_column=-2,
        ),
        model=ModelConfig(name="tiny-random", dropout=0.25, frozen=["bert.embeddings"]),
        partition=DirichletPartition(sites=7, alpha=0.1, seed=5),
        training=TrainingConfig(lr=3e-5, steps=12, max_grad_norm=None, precision=Precision.fp32, threads=2),
        aggregation=FedAdamAggregation(server_lr=0.02, beta1=0.5),
        federation=FederationConfig(rounds=3, fraction=0.5, public_dev=["public.conll"]),
        experiment=ExperimentConfig(arms=[Arm.local, Arm.federated], seeds=[0, 1, 2], lr_grid=[1e-4, 3e-4]),
    )


@pytest.mark.parametrize(("group", "kind"), EVERY_OPTION)
def test_every_option_of_every_group_survives_json(group: str, kind: str) -> None:
    option = CLASSES_BY_GROUP[group][kind](**REQUIRED.get(kind, {}))
    training = {"training": {"dyn_alpha": 0.1}} if kind == AggregationKind.feddyn else {}
    partition = {"partition": {"kind": "natural"}} if kind == DataKind.at_sites else {}
    config = from_plain(plain_config(**{group: {"kind": str(kind)} | REQUIRED.get(kind, {}), **training, **partition}))
    assert getattr(config, group) == option
    again = loads(dumps(config))
    assert again == config
    assert type(getattr(again, group)) is type(option)


@pytest.mark.parametrize(("kind", "alpha"), [("feddyn", 0.0), ("fedavg", 0.1)])
def test_feddyn_is_told_to_server_and_sites_or_to_neither(kind: str, alpha: float) -> None:
    with pytest.raises(ConfigError, match=r"training\.dyn_alpha: expected a number above 0 with aggregation=feddyn"):
        from_plain(plain_config(aggregation={"kind": kind}, training={"dyn_alpha": alpha}))


@pytest.mark.parametrize(
    ("group", "kinds"), [("data", DataKind), ("partition", PartitionKind), ("aggregation", AggregationKind)]
)
def test_every_kind_has_a_class_that_says_so(group: str, kinds: Any) -> None:
    assert set(CLASSES_BY_GROUP[group]) == set(kinds)
    for kind, option in CLASSES_BY_GROUP[group].items():
        assert {field.name: field.default for field in fields(option)}["kind"] == kind


def test_values_lists_enums_and_text_survive_json() -> None:
    config = rich_config()
    assert loads(dumps(config)) == config
    assert from_plain(to_plain(config)) == config


def test_the_order_of_entity_types_survives_because_tag_ids_follow_from_it() -> None:
    types = {"Z": "last letter", "A": "first letter", "M": "middle"}
    config = from_plain(plain_config(data={"kind": "files", "contract": {"types": types}}))
    assert list(loads(dumps(config)).data.contract.types) == ["Z", "A", "M"]


def test_a_config_is_one_line_of_plain_json() -> None:
    text = dumps(rich_config())
    assert "\n" not in text
    plain = json.loads(text)
    assert plain["data"]["kind"] == "files"
    assert plain["experiment"]["arms"] == ["local", "federated"]


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**62),
    lr=st.floats(1e-9, 10, allow_nan=False),
    fraction=st.floats(0, 1, exclude_min=True),
    name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="$?\\")),
)
def test_numbers_and_text_survive_to_the_last_bit(seed: int, lr: float, fraction: float, name: str) -> None:
    config = from_plain(
        plain_config(training={"lr": lr}, federation={"fraction": fraction}) | {"seed": seed, "name": name}
    )
    again = loads(dumps(config))
    assert (again.seed, again.training.lr, again.federation.fraction, again.name) == (seed, lr, fraction, name)


@pytest.mark.parametrize(
    "path",
    ["typo", "data.instituions", "data.contract.typs", "model.nam", "partition.alpha", "training.learning_rate",
     "aggregation.momentum", "federation.round", "experiment.sedes"],
)  # fmt: skip
def test_an_unknown_key_is_refused_by_its_full_name(path: str) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: "):
        from_plain(changed(path, 1))


def test_a_key_of_another_option_of_the_group_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^aggregation\.trim: "):
        from_plain(plain_config(aggregation={"kind": "krum", "trim": 0.1}))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", "seven"),
        ("seed", 1.5),
        ("data.institutions", True),
        ("data.scheme", "IOB2"),
        ("data.on_illegal", "ignore"),
        ("data.contract.version", "two"),
        ("model.max_length", 12.5),
        ("model.frozen", "bert.embeddings"),
        ("model.dropout", "some"),
        ("partition.sites", None),
        ("training.lr", "fast"),
        ("training.batch_size", [16]),
        ("training.precision", "fp64"),
        ("training.schedule", "cosine"),
        ("training", None),
        ("federation.rounds", "ten"),
        ("federation.weighting", "loss"),
        ("experiment.seeds", 3),
        ("experiment.arms", ["pooled"]),
    ],
)
def test_an_ill_typed_value_is_refused_by_its_full_name(path: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{path}"):
        from_plain(changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("seed", -1),
        ("data.institutions", 0),
        ("data.institutions", 17),
        ("data.train_documents", 0),
        ("data.dev_documents", 0),
        ("data.test_documents", 0),
        ("data.train_sentences", 0),
        ("model.max_length", 7),
        ("model.max_length", 513),
        ("model.overlap_words", -1),
        ("model.context_words", -1),
        ("model.dropout", 1.0),
        ("partition.sites", 0),
        ("partition.min_train_documents", 0),
        ("training.lr", 0.0),
        ("training.lr", float("nan")),
        ("training.batch_size", 0),
        ("training.gradient_accumulation", 0),
        ("training.epochs", 0.0),
        ("training.steps", 0),
        ("training.warmup", 1.0),
        ("training.weight_decay", -0.1),
        ("training.beta1", 1.0),
        ("training.beta2", -0.1),
        ("training.epsilon", 0.0),
        ("training.max_grad_norm", 0.0),
        ("training.prox_mu", -1.0),
        ("training.threads", 0),
        ("training.eval_batch_size", 0),
        ("federation.rounds", 0),
        ("federation.fraction", 0.0),
        ("federation.fraction", 1.5),
        ("federation.min_sites", 0),
        ("federation.workers", 0),
        ("federation.wait_seconds", 0.0),
        ("experiment.arms", []),
        ("experiment.seeds", []),
        ("experiment.lr_grid", [1e-4, 0.0]),
        ("experiment.bootstrap_samples", 99),
        ("experiment.confidence", 1.0),
    ],
)
def test_a_value_out_of_range_is_refused_with_key_and_value(path: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: expected .*, got "):
        from_plain(changed(path, value))


@pytest.mark.parametrize(
    ("group", "kind", "key", "value"),
    [
        ("partition", "dirichlet", "alpha", 0.0),
        ("partition", "quantity", "exponent", -1.0),
        ("aggregation", "fedavgm", "momentum", 1.0),
        ("aggregation", "fedavgm", "server_lr", 0.0),
        ("aggregation", "fedadam", "tau", 0.0),
        ("aggregation", "fedyogi", "beta2", 1.0),
        ("aggregation", "fedadagrad", "beta1", -0.5),
        ("aggregation", "trimmed_mean", "trim", 0.5),
        ("aggregation", "krum", "select", 0),
        ("aggregation", "krum", "malicious", -1),
        ("aggregation", "bulyan", "malicious", -1),
    ],
)
def test_an_options_own_range_is_checked(group: str, kind: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{group}\.{key}: expected .*, got "):
        from_plain(plain_config(**{group: {"kind": kind, key: value}}))


@pytest.mark.parametrize(
    "build",
    [
        lambda: Config(seed=-1),
        lambda: SyntheticData(institutions=99),
        lambda: IidPartition(sites=0),
        lambda: QuantityPartition(exponent=-1.0),
        lambda: FedYogiAggregation(tau=0.0),
        lambda: TrimmedMeanAggregation(trim=0.9),
        lambda: KrumAggregation(select=0),
        lambda: BulyanAggregation(malicious=-1),
    ],
)
def test_ranges_hold_for_configs_built_in_code_too(build: Any) -> None:
    with pytest.raises(ConfigError):
        build()


@pytest.mark.parametrize("group", list(CLASSES_BY_GROUP))
@pytest.mark.parametrize("kind", [None, "nonesuch", 3])
def test_an_unknown_kind_is_refused_with_the_known_ones(group: str, kind: object) -> None:
    known = ", ".join(sorted(CLASSES_BY_GROUP[group]))
    with pytest.raises(ConfigError, match=rf"^{group}\.kind: expected one of {known}, got "):
        from_plain(plain_config(**{group: {"kind": kind}}))


@pytest.mark.parametrize(("data", "key"), [(SitesData(), "data.root"), (HubData(), "data.path")])
def test_a_value_without_default_must_be_given(data: SitesData | HubData, key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: "):
        from_plain(plain_config(data={"kind": str(data.kind)}, partition={"kind": str(NaturalPartition().kind)}))


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"config"', "3"])
def test_text_that_is_not_a_json_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^config: expected one JSON object, got "):
        loads(text)


def test_text_from_elsewhere_cannot_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDNER_TEST_SECRET", "hunter2")
    with pytest.raises(ConfigError, match=r"^name: "):
        loads(json.dumps(plain_config() | {"name": "${oc.env:FEDNER_TEST_SECRET}"}))


@pytest.mark.parametrize("value", ["conll2003", ["conll2003"], {"kind": ["conll2003"]}])
def test_a_group_that_is_not_a_mapping_is_refused_by_name(value: object) -> None:
    with pytest.raises(ConfigError, match=r"^data"):
        from_plain(plain_config() | {"data": value})


def test_three_question_marks_are_not_taken_for_a_default() -> None:
    with pytest.raises(ConfigError, match=r"^output: "):
        from_plain(plain_config() | {"output": "???"})


@pytest.mark.parametrize("path", ["training.lr", "training.epochs", "training.prox_mu", "federation.wait_seconds"])
def test_infinity_is_out_of_range(path: str) -> None:
    with pytest.raises(ConfigError, match=f"^{path}: "):
        from_plain(changed(path, float("inf")))


@pytest.mark.parametrize("seeds", [[-1], [0, 0]])
def test_the_seeds_of_a_comparison_are_distinct_and_not_negative(seeds: list[int]) -> None:
    with pytest.raises(ConfigError, match=r"^experiment\.seeds: "):
        from_plain(plain_config(experiment={"seeds": seeds}))
