"""What is written has the offsets of what was read, in every format and every script."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedner.config import TextFormat
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.data.reading import (
    AnnotatedText,
    Annotation,
    Place,
    ReadOptions,
    ReadReport,
    SpanPolicy,
    read_documents,
    to_sentences,
    words_of,
)
from fedner.data.reading.formats.brat import read_brat
from fedner.data.reading.formats.texts import read_texts
from fedner.data.writing import (
    MarkedText,
    as_document,
    mark,
    two_columns,
    write_bioc,
    write_brat,
    write_conll,
    write_jsonl,
)
from fedner.errors import DataError

CONTRACT = LabelContract("letters", 1, tuple(EntityType(name) for name in ("PATIENT", "DRUG", "DOSE")))
LETTERS = Path(__file__).parent / "fixtures" / "letters"
Span = tuple[str, int, int]


def marked(text: AnnotatedText) -> MarkedText:
    """What training would see of a text, to be written back."""
    raw = to_sentences(text, CONTRACT, SpanPolicy(), ReadReport("x"))
    return MarkedText(text, tuple(Sentence(each.words, each.tags, each.offsets) for each in raw.sentences))


def plain(text: str, *spans: Span, name: str | None = "7") -> MarkedText:
    place = Place("x", 1)
    return marked(AnnotatedText(name, text, tuple(Annotation(label, ((a, b),), place) for label, a, b in spans), place))


def spans(document: Document) -> list[Span]:
    return [
        (span.type, (sentence.offsets or ())[span.start][0], (sentence.offsets or ())[span.end - 1][1])
        for sentence in document.sentences
        for span in spans_of(sentence.tags)
    ]


def test_text_to_brat_to_fedner_to_brat_is_the_same_bytes(tmp_path: Path) -> None:
    write_brat((marked(text) for text in read_brat(LETTERS, "utf-8", ReadReport("x"))), tmp_path)
    files = sorted(path.relative_to(LETTERS) for path in LETTERS.rglob("*.*"))
    assert len(files) == 8
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")) == files
    for name in files:
        assert (tmp_path / name).read_bytes() == (LETTERS / name).read_bytes()


SCRIPTS = [
    *(
        "林小满",
        "服用",
        "安宁平片",
        "。",
        "，",
        "５ｍｇ",
        "𠮷",
        "かな",
        "が",
        "か\u3099",
        "한국어",
        "ยา",
        "ดี",
        "ဆေး",
        "ថ្នាំ",
    ),
    *("דנה", "שָׁלוֹם", "عربي", "\u200f", "\u202b", "\u2067", "नमस्ते", "e\u0301", "Z\u0351\u0352", "\u0301"),
    *("👩\u200d⚕\ufe0f", "👨\u200d👩\u200d👧", "🇦🇹", "👍🏽", "\u200b", "\u200d", "\u00ad", "\ufeff", "\u2060"),
    *(
        " ",
        "  ",
        "\n",
        "\r\n",
        "\u00a0",
        "\u3000",
        "\u2028",
        "\x85",
        "\x0b",
        "Ada",
        "40",
        "mg",
        ".",
        "#",
        "-",
        "|",
        "\t",
        '"',
        "\\",
        "<&>",
    ),
]


@st.composite
def tagged_texts(draw: st.DrawFn) -> MarkedText:
    """A text of many scripts, some of whose words are entities."""
    text = "".join(draw(st.lists(st.sampled_from(SCRIPTS), min_size=1, max_size=14)))
    words = words_of(AnnotatedText(None, text, (), Place("x", 1)))
    found: list[Span] = []
    index = 0
    while index < len(words):
        length = draw(st.integers(0, 3))
        if length:
            last = min(index + length, len(words)) - 1
            found.append((draw(st.sampled_from(CONTRACT.type_names)), words[index][0], words[last][1]))
        index += length or 1
    return plain(text, *found)


def through(write: Callable[..., None], folder: Path, name: str, source: MarkedText) -> list[Document]:
    with (folder / name).open("w", encoding="utf-8", newline="") as out:
        write([source], out)
    return list(read_documents(folder / name, CONTRACT))


@settings(max_examples=150)
@given(tagged_texts())
def test_entities_come_back_from_every_format_as_the_same_characters(
    tmp_path_factory: pytest.TempPathFactory, source: MarkedText
) -> None:
    expected = [tuple(entity) for entity in source.entities()]
    text = source.source.text
    assert [text[start:end] for sentence in source.sentences for start, end in sentence.offsets or ()] == [
        word for sentence in source.sentences for word in sentence.words
    ]
    if not source.sentences:
        return
    folder = tmp_path_factory.mktemp("x")
    write_brat([source], folder / "brat")
    for documents in (
        list(read_documents(folder / "brat", CONTRACT)),
        through(write_jsonl, folder, "x.jsonl", source),
        through(write_bioc, folder, "x.json", source),
    ):
        (document,) = documents
        assert spans(document) == expected
        assert [sentence.words for sentence in document.sentences] == [sentence.words for sentence in source.sentences]
    (document,) = through(write_conll, folder, "x.conll", source)
    assert [(sentence.words, sentence.tags) for sentence in document.sentences] == [
        (sentence.words, sentence.tags) for sentence in source.sentences
    ]
    rows = [line.split("\t") for line in (folder / "x.conll").read_text(encoding="utf-8").split("\n")[1:] if line]
    assert all(text[int(start) : int(end)] == word for word, start, end, _ in rows)


def test_every_output_of_a_text_as_it_stands(tmp_path: Path) -> None:
    source = plain("Ada nahm\n5 mg.", ("PATIENT", 0, 3), ("DOSE", 9, 13))
    outs = {write: io.StringIO() for write in (write_jsonl, write_conll, write_bioc)}
    for write, out in outs.items():
        write([source], out)
    assert json.loads(outs[write_jsonl].getvalue()) == {
        "id": "7",
        "text": "Ada nahm\n5 mg.",
        "spans": [
            {"start": 0, "end": 3, "label": "PATIENT", "text": "Ada"},
            {"start": 9, "end": 13, "label": "DOSE", "text": "5 mg"},
        ],
    }
    assert outs[write_conll].getvalue() == (
        "# newdoc id = 7\nAda\t0\t3\tB-PATIENT\nnahm\t4\t8\tO\n\n5\t9\t10\tB-DOSE\nmg\t11\t13\tI-DOSE\n.\t13\t14\tO\n\n"
    )
    (document,) = json.loads(outs[write_bioc].getvalue())["documents"]
    found = [(each["text"], each["locations"]) for each in document["passages"][0]["annotations"]]
    assert found == [("Ada", [{"offset": 0, "length": 3}]), ("5 mg", [{"offset": 9, "length": 4}])]
    write_brat([source], tmp_path)
    assert (tmp_path / "7.ann").read_text() == "T1\tPATIENT 0 3\tAda\nT2\tDOSE 9 13\t5 mg\n"


def test_the_bioc_package_reads_what_is_written() -> None:
    bioc = pytest.importorskip("bioc")
    from bioc import biocjson

    del bioc
    out = io.StringIO()
    write_bioc([plain("患者林小满。", ("PATIENT", 2, 5)), plain("x", name="8")], out)
    collection = biocjson.loads(out.getvalue())
    assert [document.id for document in collection.documents] == ["7", "8"]
    (found,) = collection.documents[0].passages[0].annotations
    assert (found.text, found.total_span.offset, found.total_span.length) == ("林小满", 2, 3)


def test_passages_survive(tmp_path: Path) -> None:
    (tmp_path / "x.pubtator").write_text("7|t|Gout.\n7|a|Ada.\n7\t6\t9\tAda\tPATIENT\n")
    (text,) = read_texts(tmp_path / "x.pubtator")
    predicted = as_document(text, 0)
    first, second = predicted.sentences
    assert (first.words, second.words) == (("Gout", "."), ("Ada", "."))
    tagged = Document("7", (first, Sentence(second.words, ("B-PATIENT", "O"), second.offsets)))
    out = io.StringIO()
    write_bioc([mark(text, tagged)], out)
    passages = json.loads(out.getvalue())["documents"][0]["passages"]
    assert [(each["offset"], each["text"], len(each["annotations"])) for each in passages] == [
        (0, "Gout.", 0),
        (6, "Ada.", 1),
    ]


def test_brat_never_overwrites_and_never_leaves_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_brat([plain("x", name=name) for name in ("../../etc/x", "/abs", "a b", "..", "c/d")], folder)
    inside = [path for path in tmp_path.rglob("*.ann")]
    assert len(inside) == 5
    assert all(path.is_relative_to(folder) for path in inside)
    with pytest.raises(DataError, match=r"d\.txt: is there already and would be overwritten"):
        write_brat([plain("y", name="c/d")], folder)
    with pytest.raises(DataError, match="is there already"):
        write_brat([plain("y", name="q?"), plain("y", name="q!")], folder)


def test_columns_refuse_words_that_they_cannot_hold() -> None:
    text = AnnotatedText(None, "a\tb c", (), Place("x", 3), words=((0, 3), (4, 5)))
    with pytest.raises(DataError, match=r"x:3: expected words without tabs.*'a\\tb'; write JSONL"):
        write_conll([marked(text)], io.StringIO())
    with pytest.raises(DataError, match="a document id that a line can hold"):
        write_conll([plain("x", name="a\nb")], io.StringIO())


@settings(max_examples=150)
@given(
    st.lists(
        st.lists(
            st.lists(
                st.tuples(st.sampled_from([*SCRIPTS, "#", "B-DRUG", "O"]), st.sampled_from(["O", "B-DRUG"])),
                min_size=1,
                max_size=4,
            ),
            min_size=1,
            max_size=3,
        ),
        min_size=1,
        max_size=3,
    )
)
def test_two_columns_are_read_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, rows: list) -> None:
    documents = [
        Document(str(number), tuple(Sentence(*map(tuple, zip(*sentence, strict=True))) for sentence in sentences))
        for number, sentences in enumerate(rows)
    ]
    words = [word for document in documents for sentence in document.sentences for word in sentence.words]
    if any(not word or any(mark in word for mark in " \t\n\r") for word in words):
        with pytest.raises(DataError, match="expected words without blanks"):
            two_columns(documents)
        return
    path = tmp_path_factory.mktemp("x") / "x.conll"
    path.write_text(two_columns(documents), encoding="utf-8", newline="")
    assert [document.sentences for document in read_documents(path, CONTRACT)] == [each.sentences for each in documents]


def test_two_columns_refuse_a_document_mark_as_a_word() -> None:
    with pytest.raises(DataError, match=r"document '7'.*-DOCSTART-"):
        two_columns([Document("7", (Sentence(("-DOCSTART-",), ("O",)),))])


def test_texts_to_be_predicted_come_from_every_format(tmp_path: Path) -> None:
    files = {
        "a.txt": "one line\n\nand another",
        "b.jsonl": '{"text": "x y"}\n{"tokens": ["x", "y"]}',
        "c.json": '[{"data": {"text": "x y"}}]',
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    assert [text.text for text in read_texts(tmp_path / "a.txt")] == ["one line", "", "and another"]
    assert [text.text for text in read_texts(tmp_path / "a.txt", TextFormat.brat)] == ["one line\n\nand another"]
    assert [text.text for text in read_texts(tmp_path / "b.jsonl")] == ["x y", "x y"]
    assert [text.text for text in read_texts(tmp_path / "c.json")] == ["x y"]
    assert [text.id for text in read_texts(LETTERS)] == ["letter-1", "letter-2", "ward/7", "ward/8"]
    with pytest.raises(DataError, match="expected running text, got columns of words"):
        list(read_texts(tmp_path / "a.txt", TextFormat.conll))


def test_a_document_of_another_text_is_refused() -> None:
    text = AnnotatedText(None, "a b", (), Place("x", 1))
    with pytest.raises(DataError, match="not those of the text"):
        mark(text, Document("0", (Sentence(("a", "c"), ("O", "O"), ((0, 1), (2, 3))),)))


def test_options_of_a_set_format_hold_for_reading(tmp_path: Path) -> None:
    (tmp_path / "x").write_text('{"text": "Ada", "label": [[0, 3, "PATIENT"]]}')
    options = ReadOptions(format=TextFormat.doccano)
    assert spans(next(iter(read_documents(tmp_path / "x", CONTRACT, options)))) == [("PATIENT", 0, 3)]
