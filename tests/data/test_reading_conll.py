import tracemalloc
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import OnIllegal, TagScheme
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import EntityType, LabelContract
from fedner.data.reading import ReadOptions, ReadReport, read_documents
from fedner.errors import DataError, LabelError

CONTRACT = LabelContract("news", 1, tuple(EntityType(name) for name in ("PER", "ORG", "LOC")))
FIXTURES = Path(__file__).parent / "fixtures"


def read(folder: Path, text: str, **options: object) -> list[Document]:
    path = folder / "x.conll"
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_documents(path, CONTRACT, ReadOptions(**options)))  # pyright: ignore[reportArgumentType]


def words_of(documents: list[Document]) -> list[list[list[str]]]:
    return [[list(sentence.words) for sentence in document.sentences] for document in documents]


def test_a_file_in_the_form_of_2003_gives_documents_sentences_and_tags() -> None:
    report = ReadReport("columns.conll")
    first, second = read_documents(FIXTURES / "columns.conll", CONTRACT, report=report)
    assert (first.id, second.id) == ("columns:0", "columns:1")
    assert first.sentences == (
        Sentence(("Ada", "Quill", "left", "Port", "Amble", "."), ("B-PER", "I-PER", "O", "B-LOC", "I-LOC", "O")),
        Sentence(("She", "rested"), ("O", "O")),
    )
    assert second.sentences[0].words == ("Brack", "Works", "closed")
    assert (report.documents, report.sentences, report.words) == (2, 3, 11)
    assert dict(report.entities) == {"PER": 1, "LOC": 1, "ORG": 1}
    assert report.document_marks
    assert first.metadata == {"source": "columns.conll"}


@pytest.mark.parametrize(
    "text",
    [
        "a\tB-PER\nb\tO\n\nc\tO\n",
        "a B-PER\nb O\n\nc O\n",
        "a   B-PER  \nb \t O\n   \n\n\nc O",
        "\ufeffa\tB-PER\r\nb\tO\r\n\r\nc\tO\r\n",
        "\n\na\tB-PER\t\nb\tO\n \t \nc\tO\n\n\n",
        "# a header\n\n# sent_id = 1\na\tB-PER\nb\tO\n\n# text = c\nc\tO\n",
        "a NN x B-PER\nb NN x O\n\nc NN x O\n",
    ],
)
def test_blanks_line_ends_and_comments_make_no_difference(tmp_path: Path, text: str) -> None:
    documents = read(tmp_path, text)
    # without document marks each sentence is a document
    assert words_of(documents) == [[["a", "b"]], [["c"]]]
    assert documents[0].sentences[0].tags == ("B-PER", "O")


@pytest.mark.parametrize("word", ["a\u00a0b", "a\u200bb", "\u200e", "\u3000", "a\u2028b", "Aus\u00adtria", "a\x85"])
@pytest.mark.parametrize("separator", [" ", "\t"])
def test_odd_characters_stay_inside_words(tmp_path: Path, word: str, separator: str) -> None:
    assert words_of(read(tmp_path, f"{word}{separator}B-PER\n")) == [[[word]]]


def test_a_word_may_hold_a_blank_where_tabs_part_the_columns(tmp_path: Path) -> None:
    assert words_of(read(tmp_path, "x\tO\nPort Amble\tB-LOC\n")) == [[["x", "Port Amble"]]]


@pytest.mark.parametrize(
    "text",
    [
        "#\tO\nfun\tO\n",
        "# O\nfun O\n",
        "# SYM B-NP O\nfun NN I-NP O\n",
        "x O\n\n# O\nfun O\n",
        "x O\n\n# B-PER\nfun O\n",
        "#one\tO\nfun\tO\n",
    ],
)
def test_a_hash_with_a_tag_is_a_word(tmp_path: Path, text: str) -> None:
    assert words_of(read(tmp_path, text))[-1][0][0].startswith("#")
    assert words_of(read(tmp_path, text))[-1][0][1] == "fun"


@pytest.mark.parametrize(
    "comment",
    ["# two words", "# id 17-a\tdomain=en", "# key = O", "# global.columns = WORD PER", "# a b c d e O"],
)
def test_a_line_of_other_form_after_a_hash_and_blank_is_a_comment(tmp_path: Path, comment: str) -> None:
    assert words_of(read(tmp_path, f"# newdoc id = d\nx O\n\n{comment}\ny O\n"))[-1][-1] == ["y"]


def test_a_comment_with_an_unknown_tag_is_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.conll:3: tag 'B-DRUG'"):
        read(tmp_path, "x O\n\n# B-DRUG\n")


def test_a_hash_without_a_tag_is_refused_not_dropped(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.conll:2: expected 2 columns .*got 1"):
        read(tmp_path, "x O\n#\ny O\n")


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("# newdoc id = a\nx O\n\ny O\n\n# newdoc id = b\nz O\n", ["x:a", "x:b"]),
        ("# doc_id = a\nx O\n\n# doc_id = a\ny O\n\n# doc_id = b\nz O\n", ["x:a", "x:b"]),
        ("-DOCSTART- O\n\nx O\n\ny O\n-DOCSTART-\nz O\n", ["x:0", "x:1"]),
        ("-DOCSTART-\tO\nx\tO\n\ny\tO\n-DOCSTART-\tO\nz\tO\n", ["x:0", "x:1"]),
        ("# newdoc\nx O\n\ny O\n# newdoc\n", None),
    ],
)
def test_document_marks_of_every_form(tmp_path: Path, text: str, ids: list[str] | None) -> None:
    if ids is None:  # a mark within a sentence is not a mark but a broken line
        with pytest.raises(DataError, match=r"x\.conll:5"):
            read(tmp_path, "# newdoc\nx O\n\ny O\n# newdoc a b\n")
        return
    documents = read(tmp_path, text)
    assert words_of(documents) == [[["x"], ["y"]], [["z"]]]
    assert [document.id for document in documents] == ids


def test_comments_above_a_document_are_its_metadata(tmp_path: Path) -> None:
    text = "# newdoc id = a\n# institution = North Wing\n# text = x\nx O\n\n# mood = odd\ny O\n\n# newdoc id = b\nz O\n"
    first, second = read(tmp_path, text)
    assert first.metadata == {"source": "x.conll", "institution": "North Wing"}
    assert second.metadata == {"source": "x.conll"}


def test_any_columns_can_hold_word_and_tag(tmp_path: Path) -> None:
    assert words_of(read(tmp_path, "1 B-PER x\n2 O y\n", word_column=-1, tag_column=1)) == [[["x", "y"]]]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("x O\ny NN O\n", 2, "expected 2 columns parted by blanks .* got 3"),
        ("x\tO\ny O\n", 2, "expected 2 columns parted by tabs .* got 1"),
        ("word\n", 1, "at least 2 columns"),
        ("x\tO\n\tO\n", 2, "expected a word and a tag"),
        ("x O\n\n-DOCSTART- O\n\ny O\n", 3, "put a mark"),
        ("# newdoc id = a\nx O\n\n# newdoc id = b\ny O\n\n# newdoc id = a\nz O\n", 8, "'a' is used twice"),
        ("# newdoc id = a\nx O\n\n-DOCSTART- O\n\ny O\n", 6, "name all of them or none"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_reason(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(DataError, match=rf"x\.conll:{line}: .*{reason}"):
        read(tmp_path, text)


@pytest.mark.parametrize("text", ["\n\n", "# only\n# comments\n", "-DOCSTART- O\n\n", " \t\n"])
def test_a_file_without_a_word_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match="expected lines with a word and a tag, got none"):
        read(tmp_path, text)


@pytest.mark.parametrize("columns", [{"word_column": 2}, {"tag_column": -3}])
def test_a_column_that_is_not_there_is_named(tmp_path: Path, columns: dict[str, int]) -> None:
    with pytest.raises(DataError, match=rf"x\.conll:1: .*data\.{next(iter(columns))}"):
        read(tmp_path, "x O\n", **columns)


def test_an_unknown_type_is_refused_with_line_contract_and_guess(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.conll:4: tag 'B-LOK' has the type 'LOK'.*'news'.*mean 'LOC'.*PER, ORG"):
        read(tmp_path, "x O\n\ny B-PER\nz B-LOK\n")


def test_an_unknown_type_is_refused_also_where_the_scheme_is_set(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.conll:2: tag 'B-LOK'"):
        read(tmp_path, "x O\nz B-LOK\n", scheme=TagScheme.iob2)


def test_a_sentence_of_100000_words_is_refused_at_its_first_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.conll:3: .*20,000 words.*blank line"):
        read(tmp_path, "x O\n\n" + "word O\n" * 100_000)


def test_illegal_sequences_are_counted_by_kind_with_their_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text("a B-PER\nb O\nc I-PER\n\nd I-LOC\ne O\n\nf B-PER\ng I-LOC\n")
    report = ReadReport("x")
    documents = list(read_documents(path, CONTRACT, ReadOptions(scheme=TagScheme.iob2), report))
    assert [document.sentences[0].tags for document in documents] == [
        ("B-PER", "O", "B-PER"),
        ("B-LOC", "O"),
        ("B-PER", "B-LOC"),
    ]
    assert dict(report.repairs) == {"orphan": 2, "type-change": 1}
    assert report.first_repair_lines == {"orphan": 3, "type-change": 9}


def test_illegal_sequences_are_refused_where_so_configured(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"x\.conll:3: illegal IOB2 tags \(orphan\): 'I-PER' follows 'O'"):
        read(tmp_path, "a B-PER\nb O\nc I-PER\n", on_illegal=OnIllegal.refuse)


def test_the_scheme_is_detected_from_the_whole_file(tmp_path: Path) -> None:
    # the first thousand sentences look like IOB1 and IOB2 alike; the last decides
    documents = read(tmp_path, "x O\n\n" * 1000 + "a I-PER\nb B-PER\n")
    assert documents[-1].sentences[0].tags == ("B-PER", "B-PER")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.conll"
    path.write_text("word B-PER\nword O\n\n" * 10_000)  # at least 4 MB as objects
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_documents(path, CONTRACT)) == 10_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_documents_come_before_the_file_is_read_to_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x.conll"
    path.write_text("x O\n\ny O\n\nbroken\n")
    documents = read_documents(path, CONTRACT, ReadOptions(scheme=TagScheme.iob2))
    assert len(list(islice(documents, 2))) == 2


words = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda word: word == word.strip(" ") and not word.startswith("-DOCSTART-") and not word.startswith("# ")
)
sentences = st.lists(st.tuples(words, st.sampled_from(["O", "B-PER", "B-LOC"])), min_size=1, max_size=5)


@given(st.lists(st.lists(sentences, min_size=1, max_size=3), min_size=1, max_size=3))
def test_what_is_written_in_columns_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, documents: list[list[list[tuple[str, str]]]]
) -> None:
    lines: list[str] = []
    for document in documents:
        lines += ["-DOCSTART-\tO", ""]
        for sentence in document:
            lines += [*(f"{word}\t{tag}" for word, tag in sentence), ""]
    path = tmp_path_factory.mktemp("columns") / "x.conll"
    path.write_text("\n".join(lines), encoding="utf-8", newline="")
    found = [
        [list(zip(sentence.words, sentence.tags, strict=True)) for sentence in document.sentences]
        for document in read_documents(path, CONTRACT)
    ]
    assert found == documents
