"""doccano, Label Studio and spaCy."""

import json
import zlib
from pathlib import Path

import pytest

from fedner.config import TextFormat
from fedner.data.corpus import Document
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.data.reading import ReadReport, detect_format, read_documents
from fedner.data.reading.formats import docbin
from fedner.errors import DataError

CONTRACT = LabelContract("letters", 1, (EntityType("DRUG"), EntityType("DOSE"), EntityType("PERSON")))
TEXT = "👩\u200d⚕ Ada took Brackolin 40mg"  # the doctor is three characters and four UTF-16 units


def read(folder: Path, content: object, name: str = "x.json", report: ReadReport | None = None) -> list[Document]:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return list(read_documents(path, CONTRACT, report=report))


def found(document: Document) -> list[tuple[str, str]]:
    return [
        (span.type, " ".join(sentence.words[span.start : span.end]))
        for sentence in document.sentences
        for span in spans_of(sentence.tags)
    ]


def test_both_forms_of_doccano(tmp_path: Path) -> None:
    old = {"id": 1, "text": TEXT, "label": [[4, 7, "PERSON"], [13, 22, "DRUG"]], "ward": "3", "Comments": []}
    entity = {"id": 5, "label": "PERSON", "start_offset": 4, "end_offset": 7}
    new = {"id": 2, "text": TEXT, "entities": [entity], "relations": [{"id": 0}]}
    report = ReadReport("x")
    first, second, third = read(tmp_path, "\n".join(map(json.dumps, (old, new, {**old, "id": 3}))), report=report)
    assert report.format == TextFormat.doccano
    assert found(first) == found(third) == [("PERSON", "Ada"), ("DRUG", "Brackolin")]
    assert found(second) == [("PERSON", "Ada")]
    assert first.metadata == {"source": "x.json", "ward": "3"}
    assert report.ignored == {"relations": 1}
    with pytest.raises(DataError, match=r"x\.json:1: label\[0\]: expected \[start, end, label\], got a list"):
        read(tmp_path, {**old, "label": [[4, 7]]})


def region(start: int, end: int, text: str, *labels: str) -> dict[str, object]:
    value = {"start": start, "end": end, "text": text, "labels": list(labels)}
    return {"type": "labels", "from_name": "label", "to_name": "text", "value": value}


def task(*results: list[dict[str, object]], **more: object) -> dict[str, object]:
    return {"id": 1, "data": {"text": TEXT, "ward": "3"}, "annotations": [{"result": each} for each in results], **more}


def test_label_studio_tasks_and_those_that_nobody_annotated(tmp_path: Path) -> None:
    report = ReadReport("x")
    relation = {"type": "relation", "from_id": "a", "to_id": "b"}
    done = task([region(4, 7, "Ada", "PERSON"), relation])
    (document,) = read(tmp_path, [done, {**task(), "id": 2}], report=report)
    assert report.format == TextFormat.label_studio
    assert found(document) == [("PERSON", "Ada")]
    assert document.metadata["ward"] == "3"
    assert (report.unannotated, report.ignored) == (1, {"relations": 1})


def test_label_studio_offsets_in_utf16_are_known_by_the_quoted_text(tmp_path: Path) -> None:
    (document,) = read(tmp_path, [task([region(5, 8, "Ada", "PERSON"), region(14, 23, "Brackolin", "DRUG")])])
    assert found(document) == [("PERSON", "Ada"), ("DRUG", "Brackolin")]
    with pytest.raises(DataError, match=r"expected 'Ada' at 6\.\.9 \(PERSON\)"):
        read(tmp_path, [task([region(6, 9, "Ada", "PERSON")])])


def test_two_annotators_are_refused_unless_one_is_the_ground_truth(tmp_path: Path) -> None:
    both = task([region(4, 7, "Ada", "PERSON")], [])
    with pytest.raises(DataError, match=r"x\.json:1: \[0\]: has 2 annotations; mark one"):
        read(tmp_path, [both])
    chosen = {**both, "annotations": [{"ground_truth": True, "result": []}, *both["annotations"]]}  # type: ignore[misc]
    assert found(read(tmp_path, [chosen])[0]) == []


def test_label_studio_json_min(tmp_path: Path) -> None:
    labels = [{"start": 4, "end": 7, "text": "Ada", "labels": ["PERSON"]}]
    (document,) = read(tmp_path, [{"id": 1, "text": TEXT, "label": labels, "annotator": 1, "lead_time": 3.5}])
    assert found(document) == [("PERSON", "Ada")]


def test_spacy_tokens_are_the_words(tmp_path: Path) -> None:
    tokens = [
        {"id": n, "start": a, "end": b}
        for n, (a, b) in enumerate([(0, 3), (4, 7), (8, 12), (13, 22), (23, 25), (25, 27)])
    ]
    doc = {"text": TEXT, "ents": [{"start": 23, "end": 25, "label": "DOSE"}], "tokens": tokens}
    (document,) = read(tmp_path, [doc])
    assert found(document) == [("DOSE", "40")]
    del doc["tokens"]
    with pytest.raises(
        DataError, match=r"x\.json:1: \[0\]\.ents\[0\]: span 23\.\.25 \(DOSE, '40'\) cuts the word '40mg'"
    ):
        read(tmp_path, [doc])


def test_spacy_2_and_pairs(tmp_path: Path) -> None:
    words = [
        ("Ada", "U-PERSON"),
        ("took", "O"),
        ("Port", "B-DRUG"),
        ("Amble", "I-DRUG"),
        ("Salts", "L-DRUG"),
        ("\n", "O"),
    ]
    sentence = {"tokens": [{"orth": word, "ner": tag} for word, tag in words]}
    training = [{"id": 0, "paragraphs": [{"sentences": [sentence, sentence]}]}]
    (document,) = read(tmp_path, training)
    assert len(document.sentences) == 2
    assert found(document) == [("PERSON", "Ada"), ("DRUG", "Port Amble Salts")] * 2
    pairs = [[TEXT, {"entities": [[4, 7, "PERSON"]]}]]
    for content in (pairs, {"classes": ["PERSON"], "annotations": pairs}):
        assert found(read(tmp_path, content)[0]) == [("PERSON", "Ada")]


@pytest.mark.parametrize("tags", [["I-DRUG"], ["B-DRUG"], ["B-DRUG", "O"], ["B-DRUG", "L-DOSE"], ["X-DRUG"], ["U"]])
def test_broken_biluo_tags_are_refused(tmp_path: Path, tags: list[str]) -> None:
    sentence = {"tokens": [{"orth": "x", "ner": tag} for tag in tags]}
    with pytest.raises(DataError, match=r"x\.json:1: \[0\]\.paragraphs\[0\]\.sentences\[0\]\.tokens\[.\]: ner: "):
        read(tmp_path, [{"paragraphs": [{"sentences": [sentence]}]}])


@pytest.mark.slow  # with its package alone, see `make test-slow`
def test_a_docbin_has_spacys_tokens_and_entities(tmp_path: Path) -> None:
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import Doc, DocBin

    doc = spacy.blank("en")("Ada took Brackolin 40mg.\n\nPERSON slept.")
    doc.ents = [doc.char_span(0, 3, "PERSON"), doc.char_span(9, 18, "DRUG"), doc.char_span(19, 21, "DOSE")]
    other = Doc(doc.vocab, words=["林", "小满"], spaces=[False, False], ents=["B-PERSON", "I-PERSON"])
    DocBin(docs=[doc, other]).to_disk(tmp_path / "x.spacy")
    first, second = read_documents(tmp_path / "x.spacy", CONTRACT)
    assert found(first) == [("PERSON", "Ada"), ("DRUG", "Brackolin"), ("DOSE", "40")]
    assert [word for sentence in first.sentences for word in sentence.words] == [
        token.text for token in doc if not token.is_space
    ]
    assert found(second) == [("PERSON", "林 小满")]
    assert detect_format(tmp_path / "x.spacy") == TextFormat.docbin


def test_a_docbin_that_unpacks_without_bounds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docbin, "MAX_BYTES", 1_000_000)
    bomb = zlib.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    (tmp_path / "x.spacy").write_bytes(bomb)
    with pytest.raises(DataError, match="at most 1,000,000 bytes unpacked"):
        list(read_documents(tmp_path / "x.spacy", CONTRACT))


@pytest.mark.parametrize("content", [b"", b"x", b"x\x9c\x03\x00\x00\x00\x00\x01", b"x\x9cK\x05"])
def test_what_is_no_docbin_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.spacy").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.spacy: (expected a DocBin|reading a DocBin needs spaCy)"):
        list(read_documents(tmp_path / "x.spacy", CONTRACT))
