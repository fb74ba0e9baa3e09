from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import ContractConfig
from fedner.data.labels import (
    EntityType,
    LabelContract,
    Span,
    contract_from_config,
    difference,
    read_contract,
    spans_of,
    tags_of,
    write_contract,
)
from fedner.errors import LabelError


def make(*names: str, version: int = 1, meaning: str = "") -> LabelContract:
    return LabelContract("clinic", version, tuple(EntityType(name, meaning) for name in names))


@st.composite
def sentences_of_spans(draw: st.DrawFn) -> tuple[list[Span], int]:
    spans: list[Span] = []
    position = 0
    for gap, length, name in draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4), st.sampled_from(["PER", "LOC"])), max_size=6)
    ):
        spans.append(Span(name, position + gap, position + gap + length))
        position += gap + length
    return spans, position + draw(st.integers(0, 3))


@given(sentences_of_spans())
def test_spans_survive_the_way_through_tags(case: tuple[list[Span], int]) -> None:
    spans, num_words = case
    tags = tags_of(spans, num_words)
    assert spans_of(tags) == spans
    assert tags_of(spans_of(tags), num_words) == tags


def test_touching_entities_stay_two() -> None:
    assert tags_of([Span("PER", 0, 2), Span("PER", 2, 3)], 4) == ["B-PER", "I-PER", "B-PER", "O"]


@pytest.mark.parametrize("span", [Span("PER", 1, 1), Span("PER", 0, 4), Span("PER", -1, 1)])
def test_a_span_outside_the_sentence_is_refused(span: Span) -> None:
    with pytest.raises(LabelError, match="does not lie within"):
        tags_of([span], 3)


def test_overlapping_spans_are_refused() -> None:
    with pytest.raises(LabelError, match="overlaps"):
        tags_of([Span("PER", 0, 2), Span("LOC", 1, 3)], 3)


def test_tag_ids_follow_the_order_of_types_alone() -> None:
    assert make("PER", "LOC").tag_ids == {"O": 0, "B-PER": 1, "I-PER": 2, "B-LOC": 3, "I-LOC": 4}


def test_every_part_of_the_contract_changes_its_digest() -> None:
    base = make("PER", "LOC")
    others = [make("LOC", "PER"), make("PER"), make("PER", "LOC", version=2), make("PER", "LOC", meaning="a thing")]
    assert len({contract.digest for contract in [base, *others]}) == 5
    assert make("PER", "LOC").digest == base.digest


type_names = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=12).filter(
    lambda name: name != "O" and name.split() == [name]
)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.integers(0, 9),
    st.dictionaries(type_names, st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=5),
)
def test_a_written_contract_reads_back_equal(
    tmp_path_factory: pytest.TempPathFactory, name: str, version: int, types: dict[str, str]
) -> None:
    contract = LabelContract(name, version, tuple(EntityType(*item) for item in types.items()))
    path = tmp_path_factory.mktemp("contract") / "contract.yaml"
    write_contract(contract, path)
    assert read_contract(path) == contract
    assert read_contract(path).digest == contract.digest


def test_types_may_be_a_plain_list(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text("name: news\nversion: 3\ntypes: [PER, LOC]\n")
    assert read_contract(path) == LabelContract("news", 3, (EntityType("PER"), EntityType("LOC")))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("types: {PER: a, PER: b}", "'PER' is given twice"),
        ("types: {NO: Norway}", "put the name in quotes"),
        ("types: [PER, PER]", "listed twice"),
        ("types: {}", "at least one entity type"),
        ("types: {PER: [1]}", "types.PER"),
        ("types: {O: other}", "cannot be an entity type"),
        ("type: {PER: a}", "did you mean 'types'"),
        ("types: {PER: a}\nversion: one", "version"),
        ("types: {PER: a}\nscheme: BIOES", "expected IOB2"),
        ("types: {PER: a", "expected a contract file"),
        ("types: {PER: *missing}", "expected a contract file"),
        ("? [1, 2]\n: 3", "expected a contract file"),
        ("types: [[PER]]", r"types\[0\]: expected text .in quotes"),
        ("types: [NO]", r"types\[0\]: expected text .in quotes, .*got False"),
        ("just a sentence", "expected the keys name, version, scheme, types, got 'just a sentence'"),
        ("", "expected the keys name, version, scheme, types, got nothing"),
        ("!!python/object/apply:os.system ['true']", "expected a contract file"),
    ],
)
def test_a_bad_contract_file_is_refused_with_its_path(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "contract.yaml"
    path.write_text(text)
    with pytest.raises(LabelError, match=reason) as caught:
        read_contract(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_missing_contract_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"nowhere\.yaml: no such file; expected a contract file"):
        read_contract(tmp_path / "nowhere.yaml")


def test_the_contract_file_goes_before_the_inline_contract(tmp_path: Path) -> None:
    path = tmp_path / "contract.yaml"
    write_contract(make("DRUG"), path)
    inline = ContractConfig(types={"PER": "a person"})
    assert contract_from_config(inline).type_names == ("PER",)
    assert contract_from_config(inline, str(path)).type_names == ("DRUG",)


def test_no_contract_at_all_is_refused_with_the_keys_to_set() -> None:
    with pytest.raises(LabelError, match=r"data\.contract\.types.*data\.contract_file"):
        contract_from_config(ContractConfig())


def test_equal_contracts_have_no_difference() -> None:
    assert difference(make("PER", "LOC"), make("PER", "LOC")) == ""


def test_a_difference_names_what_each_side_has() -> None:
    ours = LabelContract("a", 1, (EntityType("PERSON", "who"), EntityType("DRUG", "what")))
    theirs = LabelContract("b", 2, (EntityType("PERSONS", "who"), EntityType("DRUG", "which")))
    assert difference(ours, theirs).splitlines() == [
        "name: ours 'a', theirs 'b'",
        "version: ours 1, theirs 2",
        "only in ours: PERSON (did you mean 'PERSONS'?)",
        "only in theirs: PERSONS (did you mean 'PERSON'?)",
        "meaning of DRUG: ours 'what', theirs 'which'",
    ]


def test_a_different_order_is_a_difference() -> None:
    assert difference(make("PER", "LOC"), make("LOC", "PER")) == "order of types: ours PER, LOC; theirs LOC, PER"


@given(st.lists(type_names, unique=True, min_size=1), st.lists(type_names, unique=True, min_size=1))
def test_contracts_differ_in_words_exactly_when_their_digests_differ(ours: list[str], theirs: list[str]) -> None:
    one, other = make(*ours), make(*theirs)
    assert (difference(one, other) == "") == (one.digest == other.digest)
