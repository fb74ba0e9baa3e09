import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import TextFormat
from fedner.data.corpus import Document
from fedner.data.labels import EntityType, LabelContract, Span, spans_of
from fedner.data.reading import ReadOptions, ReadReport, detect_format, read_documents, split_words
from fedner.errors import DataError, LabelError

CONTRACT = LabelContract("news", 1, tuple(EntityType(name) for name in ("PER", "ORG", "LOC")))
FIXTURES = Path(__file__).parent / "fixtures"


def read(folder: Path, *rows: object, report: ReadReport | None = None) -> list[Document]:
    path = folder / "x.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return list(read_documents(path, CONTRACT, report=report))


def text_row(text: str, *spans: tuple[int, int, str]) -> dict[str, object]:
    return {"text": text, "spans": [{"start": start, "end": end, "label": label} for start, end, label in spans]}


def test_tokens_and_texts_share_documents() -> None:
    first, second = read_documents(FIXTURES / "rows.jsonl", CONTRACT)
    assert (first.id, second.id) == ("rows:ward-1", "rows:ward-2")
    assert first.metadata == {"source": "rows.jsonl", "institution": "north"}
    assert [" ".join(sentence.words) for sentence in first.sentences] == [
        "Ada Quill rested",
        "Port Amble was calm .",
        "Brack Works closed .",
    ]
    assert [spans_of(sentence.tags) for sentence in first.sentences] == [
        [Span("PER", 0, 2)],
        [Span("LOC", 0, 2)],
        [Span("ORG", 0, 2)],
    ]
    # "Brack" stands after the 20 characters of the first line and its line end
    assert first.sentences[2].offsets == ((21, 26), (27, 32), (33, 39), (39, 40))
    assert first.sentences[0].offsets is None
    assert second.sentences[0].tags == ("O", "O", "O")


def test_rows_without_a_document_are_documents_named_by_their_id(tmp_path: Path) -> None:
    row = {"tokens": ["x"], "tags": ["O"]}
    assert [document.id for document in read(tmp_path, {"id": "a", **row}, {"id": 7, **row})] == ["x:a", "x:7"]
    assert [document.id for document in read(tmp_path, row, "", row)] == ["x:0", "x:1"]


def test_numbers_count_as_tags_only_with_the_rows_own_names(tmp_path: Path) -> None:
    (document,) = read(tmp_path, {"tokens": ["x", "y"], "tags": [2, 0], "tag_names": ["O", "B-PER", "B-LOC"]})
    assert document.sentences[0].tags == ("B-LOC", "O")
    with pytest.raises(DataError, match=r"x\.jsonl:1: tags\[0\].*the number 2.*tag_names"):
        read(tmp_path, {"tokens": ["x", "y"], "tags": [2, 0]})
    with pytest.raises(DataError, match="outside `tag_names`"):
        read(tmp_path, {"tokens": ["x"], "tags": [3], "tag_names": ["O"]})


OK = {"tokens": ["x"], "tags": ["O"]}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("{", "invalid JSON"),
        ("[1, 2]", "got a list; write one object a line"),
        ("[", "one JSON array"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "invalid JSON"),
        ('{"tokens": ["\\ud800"], "tags": ["O"]}', "surrogate"),
        ({"tokens": ["x", "y"], "tags": ["O"]}, "2 tokens and 1 tags"),
        ({"tokens": ["x"]}, "got no `tags` among tokens"),
        ({}, "got no `tokens` among no keys"),
        ({"tokens": "x", "tags": ["O"]}, "tokens: expected a list, got str"),
        ({"tokens": [""], "tags": ["O"]}, r"tokens\[0\]: expected a word, got ''"),
        ({"tokens": [1], "tags": ["O"]}, r"tokens\[0\]: expected a word, got 1"),
        ({"tokens": ["x"], "tags": [None]}, r"tags\[0\]: expected a tag"),
        ({"tokens": ["x"], "tags": [True]}, r"tags\[0\]: expected a tag"),
        ({"tokens": ["x"] * 20_001, "tags": ["O"] * 20_001}, "20,000 words"),
        ({"text": "x " * 100_000, "spans": []}, "20,000 words"),
        ({**OK, "metadata": [1]}, "metadata: expected an object"),
        ({**OK, "metadata": {"a": {}}}, r"metadata\.a: expected a string or a number"),
        ({**OK, "doc_id": ["a"]}, "doc_id: expected a name or a number"),
        ({**OK, "id": ""}, "id: expected a name or a number"),
        ({"text": 3, "spans": []}, "text: expected a string, got int"),
        ({"text": "x"}, "got no `spans` among text"),
        ({"text": "x", "spans": [[0, 1, "PER"]]}, "spans: expected {'start'"),
        ({"text": "x", "spans": [{"start": 0.0, "end": 1, "label": "PER"}]}, "spans: expected {'start'"),
        (text_row("Ada", (0, 4, "PER")), r"0\.\.4 \(PER\) does not lie within the text of 3 characters"),
        (text_row("Ada", (1, 1, "PER")), "does not lie within"),
        (text_row("Ada", (-1, 2, "PER")), "does not lie within"),
        (text_row("a  b", (1, 3, "PER")), "holds only blanks"),
        (text_row("in Amble", (3, 6, "LOC")), r"3\.\.6 \(LOC, 'Amb'\) cuts the word 'Amble' at 3\.\.8; move the span"),
        (text_row("in Amble", (5, 8, "LOC")), "cuts the word 'Amble'"),
        (text_row("a b c", (0, 3, "PER"), (2, 5, "LOC")), r"2\.\.5 \(LOC\) overlaps the PER that ends at 3"),
        (text_row("a b c", (0, 3, "PER"), (0, 3, "PER")), "overlaps"),
    ],
)
def test_a_broken_row_is_refused_with_line_and_reason(tmp_path: Path, row: object, reason: str) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:3: .*{reason}"):
        read(tmp_path, OK, "", row)


def test_a_label_outside_the_contract_is_refused_with_a_guess(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.jsonl:1: span 0\.\.3 has the label 'per'.*did you mean 'PER'"):
        read(tmp_path, text_row("Ada", (0, 3, "per")))


def test_an_unknown_tag_in_a_row_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.jsonl:2: tag 'B-X'"):
        read(tmp_path, OK, {"tokens": ["x"], "tags": ["B-X"]})


@pytest.mark.parametrize(
    ("ids", "reason"),
    [
        ([{"id": 1}, {"id": "1"}], "document id '1' is used twice"),
        ([{"doc_id": "a"}, {"doc_id": "b"}, {"document": "a"}], "document id 'a' is used twice"),
        ([{"id": 1}, {}], "name all of them or none"),
        ([{}, {"id": 1}], "name all of them or none"),
    ],
)
def test_document_ids_are_unique_and_given_to_all_or_none(
    tmp_path: Path, ids: list[dict[str, object]], reason: str
) -> None:
    with pytest.raises(DataError, match=rf"x\.jsonl:{len(ids)}: .*{reason}"):
        read(tmp_path, *({**row, **OK} for row in ids))


def test_a_file_of_blank_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got only blank lines"):
        read(tmp_path, "", "  ", "")
    with pytest.raises(DataError, match="expected words with tags, got none at all"):
        read(tmp_path, {"tokens": [], "tags": []})


def test_blanks_at_the_ends_of_a_span_are_left_out_and_counted(tmp_path: Path) -> None:
    report = ReadReport("x")
    (document,) = read(tmp_path, text_row("in Port Amble .", (2, 14, "LOC")), report=report)
    assert document.sentences[0].tags == ("O", "B-LOC", "I-LOC", "O")
    assert report.trimmed_spans == 1


def test_a_row_without_words_is_counted_not_kept(tmp_path: Path) -> None:
    report = ReadReport("x")
    assert len(read(tmp_path, {"tokens": [], "tags": []}, {"text": " \n ", "spans": []}, OK, report=report)) == 1
    assert report.empty_documents == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Ada's 3.5mg", "Ada|'|s|3|.|5mg"),
        ("naïve nai\u0308ve", "naïve|nai\u0308ve"),
        ("北京 is かな한국어", "北|京|is|か|な|한국어"),
        ("हिन्दी में", "हिन्दी|में"),
        ("a_b #tag @x", "a|_|b|#|tag|@|x"),
        ("❤\ufe0f ok 👩\u200d⚕", "❤\ufe0f|ok|👩\u200d|⚕"),
        ("Aus\u00adtria a\u200bb \u200bc", "Aus\u00adtria|a\u200bb|c"),
        ("a\u00a0b\u3000c\x07d", "a|b|c|d"),
        ("", ""),
    ],
)
def test_words_of_many_scripts(text: str, words: str) -> None:
    assert "|".join(text[start:end] for start, end in split_words(text)) == words


@given(st.text())
def test_words_are_in_order_apart_and_leave_out_only_what_cannot_be_seen(text: str) -> None:
    words = split_words(text)
    edges = [edge for word in words for edge in word]
    assert edges == sorted(edges)
    assert all(start < end for start, end in words)
    left_out = set(range(len(text))).difference(*(range(start, end) for start, end in words))
    assert not any(text[index].isprintable() and not text[index].isspace() for index in left_out)


@given(st.text(), st.text())
def test_splitting_does_not_depend_on_what_follows_a_blank(before: str, after: str) -> None:
    joined = [(start, end) for start, end in split_words(f"{before} {after}") if end <= len(before)]
    assert joined == split_words(before)


@given(st.data(), st.text(min_size=1, max_size=40))
def test_spans_on_words_come_back_as_the_same_characters(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, text: str
) -> None:
    words = [word for word in split_words(text) if not set("\r\n") & set(text[word[0] : word[1]])]
    chosen = [word for word in words if data.draw(st.booleans())]
    if not words:
        return
    rows = read(tmp_path_factory.mktemp("rows"), text_row(text, *((start, end, "PER") for start, end in chosen)))
    found: list[tuple[int, int]] = []
    for sentence in rows[0].sentences:
        assert sentence.offsets is not None
        assert [text[start:end] for start, end in sentence.offsets] == list(sentence.words)
        found += [
            (sentence.offsets[span.start][0], sentence.offsets[span.end - 1][1]) for span in spans_of(sentence.tags)
        ]
    assert found == chosen


def test_the_format_follows_the_suffix_or_the_first_character(tmp_path: Path) -> None:
    for name, content, expected in [
        ("a.jsonl", "x", TextFormat.jsonl),
        ("a.txt", '\n {"tokens": []}', TextFormat.jsonl),
        ("a.conll", "x O", TextFormat.conll),
    ]:
        (tmp_path / name).write_text(content)
        assert detect_format(tmp_path / name) is expected


def test_a_set_format_is_taken_at_its_word(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("x O\n")
    assert len(list(read_documents(path, CONTRACT, ReadOptions(format=TextFormat.conll)))) == 1
