"""What becomes of spans that words and IOB2 tags cannot say: refused, or changed as configured and counted."""

import json
import logging
from pathlib import Path

import pytest

from fedner.config import ContractConfig, Discontinuous, FilesData, Misaligned, Nested
from fedner.data.checking import check, check_lines
from fedner.data.labels import EntityType, LabelContract
from fedner.data.loading import load_corpus
from fedner.data.reading import AnnotatedText, Annotation, Place, ReadReport, SpanChange, SpanPolicy, to_sentences
from fedner.errors import DataError, LabelError

CONTRACT = LabelContract("letters", 1, tuple(EntityType(name) for name in ("DRUG", "DOSE", "PATIENT")))
PLACE = Place("x", 1)


def tags(text: str, *found: tuple[str, tuple[tuple[int, int], ...]], policy: SpanPolicy, report: ReadReport) -> str:
    annotations = tuple(Annotation(label, pieces, PLACE.within(f"T{n}")) for n, (label, pieces) in enumerate(found))
    document = to_sentences(AnnotatedText("7", text, annotations, PLACE), CONTRACT, policy, report)
    return " | ".join(" ".join(sentence.tags) for sentence in document.sentences)


def test_a_span_within_a_word_is_refused_or_widened_and_counted() -> None:
    report = ReadReport("x")
    found = ("DOSE", ((4, 6),))  # "20" of "20mg"
    with pytest.raises(DataError, match=r"x:1: T0: span 4\.\.6 \(DOSE, '20'\) cuts the word '20mg' at 4\.\.8.*snap"):
        tags("Ada 20mg now", found, policy=SpanPolicy(), report=report)
    assert tags("Ada 20mg now", found, policy=SpanPolicy(Misaligned.snap), report=report) == "O B-DOSE O"
    assert report.span_changes == {SpanChange.snapped: 1}
    assert str(report.first_changes[SpanChange.snapped]) == "x:1 (T0)"


NESTED = (("DRUG", ((0, 7),)), ("DOSE", ((4, 7),)), ("PATIENT", ((8, 11),)))  # "Red Cap Ada": DOSE within DRUG


@pytest.mark.parametrize(
    ("nested", "expected"),
    [(Nested.outermost, "B-DRUG I-DRUG B-PATIENT"), (Nested.innermost, "O B-DOSE B-PATIENT")],
)
def test_of_nested_spans_the_outer_or_the_inner_is_kept_and_the_rest_counted(nested: Nested, expected: str) -> None:
    report = ReadReport("x")
    assert tags("Red Cap Ada", *NESTED, policy=SpanPolicy(nested=nested), report=report) == expected
    assert report.span_changes == {SpanChange.overlapped: 1}


def test_nested_and_crossing_spans_are_refused_unless_configured() -> None:
    with pytest.raises(DataError, match=r"T1: span 4\.\.7 \(DOSE\) overlaps the DRUG that ends at 7; .*data\.nested"):
        tags("Red Cap Ada", *NESTED, policy=SpanPolicy(), report=ReadReport("x"))


def test_of_equal_spans_the_first_listed_is_kept_and_of_crossing_ones_the_longer_or_the_earlier() -> None:
    def kept(*found: tuple[str, tuple[tuple[int, int], ...]]) -> str:
        return tags("a b c d e", *found, policy=SpanPolicy(nested=Nested.outermost), report=ReadReport("x"))

    assert kept(("DOSE", ((0, 3),)), ("DRUG", ((0, 3),))) == "B-DOSE I-DOSE O O O"
    assert kept(("DOSE", ((0, 3),)), ("DRUG", ((2, 7),))) == "O B-DRUG I-DRUG I-DRUG O"
    assert kept(("DOSE", ((2, 5),)), ("DRUG", ((0, 3),))) == "B-DRUG I-DRUG O O O"


def test_widening_can_make_spans_overlap_which_then_follow_the_nested_policy() -> None:
    found = (("DOSE", ((0, 2),)), ("DRUG", ((2, 4),)))  # two halves of "20mg"
    policy = SpanPolicy(Misaligned.snap, Nested.outermost)
    report = ReadReport("x")
    assert tags("20mg", *found, policy=policy, report=report) == "B-DOSE"
    assert report.span_changes == {SpanChange.snapped: 2, SpanChange.overlapped: 1}


PIECES = ("DRUG", ((0, 3), (8, 12)))  # "Red" and "pill" of "Red and pill"


def test_an_entity_in_pieces_is_refused_filled_or_dropped_and_counted() -> None:
    report = ReadReport("x")
    with pytest.raises(DataError, match=r"T0: entity 0\.\.3, 8\.\.12 \(DRUG\) is in 2 pieces.*data\.discontinuous"):
        tags("Red and pill", PIECES, policy=SpanPolicy(), report=report)
    hull, drop = (SpanPolicy(discontinuous=each) for each in (Discontinuous.hull, Discontinuous.drop))
    assert tags("Red and pill", PIECES, policy=hull, report=report) == "B-DRUG I-DRUG I-DRUG"
    assert tags("Red and pill", PIECES, policy=drop, report=report) == "O O O"
    assert report.span_changes == {SpanChange.filled: 1, SpanChange.dropped: 1}


def test_pieces_with_blanks_between_them_are_one_entity_whatever_their_order() -> None:
    assert (
        tags("Red \n pill", ("DRUG", ((6, 10), (0, 3))), policy=SpanPolicy(), report=ReadReport("x")) == "B-DRUG I-DRUG"
    )


def test_a_line_end_within_an_entity_ends_no_sentence_and_is_counted() -> None:
    report = ReadReport("x")
    assert tags("a\nb c\nd", ("DRUG", ((0, 3),)), policy=SpanPolicy(), report=report) == "B-DRUG I-DRUG O | O"
    assert report.span_changes == {SpanChange.joined: 1}


def test_a_label_outside_the_contract_and_offsets_outside_the_text_are_refused_with_their_place() -> None:
    with pytest.raises(LabelError, match=r"x:1 \(T0\): span 0\.\.1 has the label 'Drug'.*did you mean 'DRUG'"):
        tags("a b", ("Drug", ((0, 1),)), policy=SpanPolicy(), report=ReadReport("x"))
    with pytest.raises(DataError, match=r"x:1: T0: span 2\.\.4 \(DRUG\) does not lie within the text of 3 characters"):
        tags("a b", ("DRUG", ((2, 4),)), policy=SpanPolicy(), report=ReadReport("x"))


def test_a_span_whose_quoted_text_stands_elsewhere_is_refused() -> None:
    wrong = Annotation("DRUG", ((0, 3),), PLACE, quoted="pill")
    with pytest.raises(DataError, match=r"expected 'pill' at 0\.\.3 \(DRUG\), got 'Red'; offsets count characters"):
        to_sentences(AnnotatedText("7", "Red pill", (wrong,), PLACE), CONTRACT, SpanPolicy(), ReadReport("x"))


def test_check_and_the_log_tell_what_the_policy_did(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spans = [{"start": 0, "end": 3, "label": "DRUG"}, {"start": 0, "end": 7, "label": "DRUG"}]
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "Red pill", "spans": spans}))
    config = FilesData(
        contract=ContractConfig(types={"DRUG": "medicine"}),
        train=[str(path)],
        misaligned=Misaligned.snap,
        nested=Nested.outermost,
    )
    report = check(config)
    assert report.ok
    assert report.files[0].span_changes == {"snapped": 1, "overlapped": 1}
    shown = "\n".join(check_lines(report))
    assert f"1 spans were left out, as another overlaps them (data.nested), the first at {path}:1" in shown
    with caplog.at_level(logging.WARNING):
        load_corpus(config, require=())
    assert "widened to whole words (data.misaligned=snap)" in caplog.text


def test_many_overlapping_spans_take_no_quadratic_time() -> None:
    size = 15_000
    found = [("DRUG", ((2 * start, 2 * size - 1),)) for start in range(size)]  # each begins later, all end at the end
    report = ReadReport("x")
    policy = SpanPolicy(nested=Nested.innermost)
    assert tags("a " * size, *found, policy=policy, report=report).endswith("O B-DRUG")
    assert report.span_changes[SpanChange.overlapped] == size - 1
