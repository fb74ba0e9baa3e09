"""Spans are written out in every scheme by hand-made encoders; seqeval's lenient reading is the oracle for repairs."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from fedner.config import TagScheme
from fedner.data.labels import EntityType, LabelContract, Span, spans_of
from fedner.data.reading.schemes import Illegal, check_tags, detect_scheme, is_tag, pairs_of, to_iob2
from fedner.errors import LabelError

CONTRACT = LabelContract("news", 1, (EntityType("PER"), EntityType("LOC")))
SCHEMES = [scheme for scheme in TagScheme if scheme is not TagScheme.auto]


def write(spans: Sequence[Span], num_words: int, scheme: TagScheme) -> list[str]:
    tags = ["O"] * num_words
    for index, (name, start, end) in enumerate(spans):
        touches = index > 0 and spans[index - 1].end == start and spans[index - 1].type == name
        last = end - start - 1
        letters = {
            TagScheme.iob2: "B" + "I" * last,
            TagScheme.iob1: ("B" if touches else "I") + "I" * last,
            TagScheme.bioes: "B" + "I" * (last - 1) + "E" if last else "S",
            TagScheme.bilou: "B" + "I" * (last - 1) + "L" if last else "U",
        }
        tags[start:end] = [name] * (last + 1) if scheme is TagScheme.bare else [f"{x}-{name}" for x in letters[scheme]]
    return tags


@st.composite
def sentence(draw: st.DrawFn, apart: bool) -> tuple[list[Span], int]:
    """Draw spans and a length; `apart` keeps entities of one type from touching, which bare types cannot say."""
    spans: list[Span] = []
    position = 0
    drawn = st.tuples(st.integers(0, 2), st.integers(1, 4), st.sampled_from(CONTRACT.type_names))
    for gap, length, name in draw(st.lists(drawn, max_size=5)):
        if apart and gap == 0 and spans and spans[-1].type == name:
            gap = 1
        spans.append(Span(name, position + gap, position + gap + length))
        position += gap + length
    return spans, max(1, position + draw(st.integers(0, 2)))


def detect(sentences: Sequence[Sequence[str]]) -> TagScheme:
    pairs: Counter[tuple[str, str]] = Counter()
    for tags in sentences:
        pairs.update(pairs_of(tags))
    return detect_scheme(pairs, CONTRACT)


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_spans_written_in_a_scheme_are_read_back(scheme: TagScheme, data: st.DataObject) -> None:
    spans, num_words = data.draw(sentence(apart=scheme is TagScheme.bare))
    tags, faults = to_iob2(write(spans, num_words, scheme), scheme)
    assert spans_of(tags) == spans
    assert faults == []


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_a_clean_file_is_read_rightly_without_being_told_its_scheme(scheme: TagScheme, data: st.DataObject) -> None:
    cases = data.draw(st.lists(sentence(apart=scheme is TagScheme.bare), min_size=1, max_size=4))
    written = [write(spans, num_words, scheme) for spans, num_words in cases]
    detected = detect(written)
    for tags, (spans, _) in zip(written, cases, strict=True):
        iob2, faults = to_iob2(tags, detected)
        assert spans_of(iob2) == spans
        assert faults == []


LEGAL = {
    # scheme -> (letters that start an entity, letter -> what may continue it, letters that may end one)
    TagScheme.iob2: ({"B"}, {"B": {"I"}, "I": {"I"}}, {"B", "I"}),
    TagScheme.bioes: ({"B", "S"}, {"B": {"I", "E"}, "I": {"I", "E"}, "E": set(), "S": set()}, {"E", "S"}),
    TagScheme.bilou: ({"B", "U"}, {"B": {"I", "L"}, "I": {"I", "L"}, "L": set(), "U": set()}, {"L", "U"}),
}


def obeys(tags: Sequence[str], scheme: TagScheme) -> bool:
    """Tell by a hand-written automaton whether a sentence is legal; a second opinion on `fault`."""
    if scheme is TagScheme.bare:
        return all(tag[1:2] != "-" for tag in tags)
    if any(tag != "O" and tag[1:2] != "-" for tag in tags):
        return False
    if scheme is TagScheme.iob1:
        before = ["O", *tags]
        return all(
            tag == "O" or tag[0] == "I" or (tag[0] == "B" and before[index][2:] == tag[2:])
            for index, tag in enumerate(tags)
        )
    first, follow, last = LEGAL[scheme]
    state = "O"
    for tag in [*tags, "O"]:
        continues = state != "O" and tag[2:] == state[2:] and tag[0] in follow[state[0]]
        if not continues and ((state != "O" and state[0] not in last) or (tag != "O" and tag[0] not in first)):
            return False
        state = tag
    return True


any_tag = st.sampled_from(
    ["O", "PER", "LOC", *(f"{letter}-{name}" for letter in "BIESLU" for name in CONTRACT.type_names)]
)


@given(st.lists(st.lists(any_tag, min_size=1, max_size=6), min_size=1, max_size=3))
def test_detection_never_picks_a_broken_scheme_while_another_is_kept(sentences: list[list[str]]) -> None:
    kept = [scheme for scheme in SCHEMES if all(obeys(tags, scheme) for tags in sentences)]
    if kept:
        assert detect(sentences) in kept


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        (["O", "O"], TagScheme.iob2),
        (["O", "B-PER", "O", "B-LOC"], TagScheme.iob2),
        (["I-PER", "O", "I-LOC", "I-LOC"], TagScheme.iob1),
        (["I-PER", "B-PER"], TagScheme.iob1),
        (["S-PER", "O"], TagScheme.bioes),
        (["B-PER", "E-PER"], TagScheme.bioes),
        (["B-PER", "M-PER", "E-PER", "W-LOC"], TagScheme.bioes),
        (["U-PER", "O"], TagScheme.bilou),
        (["B-PER", "L-PER"], TagScheme.bilou),
        (["PER", "PER", "O"], TagScheme.bare),
        # one slip in an IOB2 file does not make it IOB1
        (["B-PER", "O", "B-PER", "O", "I-LOC"], TagScheme.iob2),
    ],
)
def test_detection_follows_the_written_rule(tags: list[str], scheme: TagScheme) -> None:
    assert detect([tags]) is scheme


@given(st.lists(st.sampled_from(["O", *(f"{x}-{name}" for x in "BIES" for name in CONTRACT.type_names)]), min_size=1))
def test_illegal_sequences_are_repaired_as_conlleval_reads_them(tags: list[str]) -> None:
    expected = [Span(name, first, last + 1) for name, first, last in get_entities(tags)]
    assert spans_of(to_iob2(tags, TagScheme.bioes)[0]) == expected


@pytest.mark.parametrize(
    ("scheme", "tags", "repaired", "faults"),
    [
        (TagScheme.iob2, "O I-PER", "O B-PER", [(1, Illegal.orphan)]),
        (TagScheme.iob2, "B-PER I-LOC", "B-PER B-LOC", [(1, Illegal.type_change)]),
        (TagScheme.iob1, "O B-PER", "O B-PER", [(1, Illegal.needless_begin)]),
        (TagScheme.bioes, "B-PER O", "B-PER O", [(1, Illegal.unclosed)]),
        (TagScheme.bioes, "B-PER I-PER", "B-PER I-PER", [(1, Illegal.unclosed)]),
        (TagScheme.bioes, "S-PER E-PER", "B-PER B-PER", [(1, Illegal.orphan)]),
        (TagScheme.bilou, "U-LOC I-LOC L-LOC", "B-LOC B-LOC I-LOC", [(1, Illegal.orphan)]),
        (TagScheme.bare, "PER LOC LOC", "B-PER B-LOC I-LOC", []),
    ],
)
def test_each_kind_of_fault_is_named_where_it_stands(
    scheme: TagScheme, tags: str, repaired: str, faults: list[tuple[int, Illegal]]
) -> None:
    assert to_iob2(tags.split(), scheme) == (tuple(repaired.split()), faults)


def test_a_bare_type_that_looks_like_a_tag_is_a_type() -> None:
    contract = LabelContract("cells", 1, (EntityType("B-cell"), EntityType("T-cell")))
    tags = ["B-cell", "B-cell", "O", "T-cell"]
    assert detect_scheme(Counter(pairs_of(tags)), contract) is TagScheme.bare
    assert to_iob2(tags, TagScheme.bare)[0] == ("B-B-cell", "I-B-cell", "O", "B-T-cell")


def test_a_tag_of_another_scheme_is_refused_with_its_line() -> None:
    with pytest.raises(LabelError, match=r"notes\.conll:7: expected IOB2 tags, got 'E-PER'"):
        check_tags({"B-PER": 1, "E-PER": 7}, TagScheme.iob2, CONTRACT, "notes.conll")


def test_unknown_types_are_refused_together_the_first_with_its_line() -> None:
    with pytest.raises(LabelError, match=r"notes\.conll:3: tag 'I-PERS'.*did you mean 'PER'.*also unknown: DRUG") as e:
        check_tags({"O": 1, "B-DRUG": 9, "I-PERS": 3}, TagScheme.iob2, CONTRACT, "notes.conll")
    assert "PER, LOC" in str(e.value)


@pytest.mark.parametrize(
    ("text", "expected"), [("O", True), ("B-X", True), ("I_X", True), ("PER", True), ("NNP", False), ("B-", False)]
)
def test_the_form_of_a_tag_is_told_from_other_text(text: str, expected: bool) -> None:
    assert is_tag(text, CONTRACT) is expected
