from pathlib import Path

import pytest

from fedner.config import ContractConfig, FilesData, SitesData
from fedner.data.checking import check
from fedner.data.labels import EntityType, LabelContract, Span, spans_of
from fedner.data.loading import load_corpus
from fedner.data.reading import ReadReport, SpanChange, read_documents
from fedner.errors import DataError, LabelError

CONTRACT = LabelContract("letters", 1, tuple(EntityType(name) for name in ("PATIENT", "DRUG", "DOSE")))
LETTERS = Path(__file__).parent / "fixtures" / "letters"


def pair(folder: Path, text: str, annotations: str) -> Path:
    (folder / "x.txt").write_text(text, encoding="utf-8", newline="")
    (folder / "x.ann").write_text(annotations, encoding="utf-8", newline="")
    return folder


def test_a_folder_is_its_pairs_in_order_with_lines_as_sentences() -> None:
    report = ReadReport(str(LETTERS))
    documents = list(read_documents(LETTERS, CONTRACT, report=report))
    assert [document.id for document in documents] == [
        "letters:letter-1",
        "letters:letter-2",
        "letters:ward/7",
        "letters:ward/8",
    ]
    assert [len(document.sentences) for document in documents] == [3, 1, 2, 1]
    # by hand: PATIENT Quill, Ambler, 林小满, 周; DRUG Brackolin, Port Amble Salts, 安宁平片; DOSE 40 mg, 2 g, 5mg
    assert report.entities == {"PATIENT": 4, "DRUG": 3, "DOSE": 3}
    assert report.format == "brat"
    assert report.span_changes == {SpanChange.joined: 1}


def test_line_ends_of_two_characters_count_as_two_and_an_entity_goes_over_one() -> None:
    first, second, *_ = read_documents(LETTERS, CONTRACT)
    # "Dear colleague,\r\n" has 17 characters
    assert first.sentences[1].words[:3] == ("Mrs", "Quill", "took")
    assert (first.sentences[1].offsets or ())[0] == (17, 20)
    assert spans_of(second.sentences[0].tags)[1] == Span("DRUG", 4, 7)  # after Mr Ambler was given


def test_what_is_no_entity_is_counted_and_ignored(tmp_path: Path) -> None:
    report = ReadReport("x")
    lines = "T1\tDRUG 0 3\tRed\nR1\tin Arg1:T1 Arg2:T1\nA1\tx T1\n#1\tAnnotatorNotes T1\tsure?\n\n"
    list(read_documents(pair(tmp_path, "Red pill", lines), CONTRACT, report=report))
    assert report.ignored == {"relations": 1, "attributes": 1, "notes": 1}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("T2 DRUG 0 3 Red", r"expected an entity such as 'T1\\tDRUG 0 7\\tAspirin' \(tabs"),
        ("T2\tDRUG 3 x\tRed", "expected an entity"),
        ("T2\tDRUG -1 3\tRed", "expected an entity"),
        ("T2\tDRUG 0 " + "9" * 5000 + "\tRed", "expected an entity"),
        ("Red", "expected a BRAT annotation"),
        ("T1\tDRUG 0 3\tRed", "the name T1 is used twice"),
        ("T2\tDRUG 4 9\tpill", r"T2: span 4\.\.9 \(DRUG\) does not lie within the text of 8"),
        ("T2\tDRUG 3 7\tpill", r"T2: expected 'pill' at 3\.\.7 \(DRUG\), got ' pil'"),
        ("T2\tDRUG 4 6\tpi", "T2: span 4..6 .* cuts the word 'pill'"),
        ("T2\tDRUG 0 8\tRed pill", "T1: span 0..3 .*overlaps|T2: span 0..8 .*overlaps"),
    ],
)
def test_a_broken_line_is_refused_with_file_line_and_name(tmp_path: Path, line: str, reason: str) -> None:
    folder = pair(tmp_path, "Red pill", f"T1\tDRUG 0 3\tRed\n{line}\n")
    with pytest.raises(DataError, match=rf"x\.ann:[12]: .*({reason})"):
        list(read_documents(folder, CONTRACT))


def test_an_unknown_label_is_refused_with_file_line_and_name(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"x\.ann:1 \(T1\): span 0\.\.3 has the label 'PILL'"):
        list(read_documents(pair(tmp_path, "Red pill", "T1\tPILL 0 3\tRed"), CONTRACT))


def test_half_a_pair_is_refused(tmp_path: Path) -> None:
    pair(tmp_path, "Red pill", "")
    (tmp_path / "y.txt").write_text("x")
    with pytest.raises(DataError, match=r"y\.txt: no y\.ann beside it; an empty one"):
        list(read_documents(tmp_path, CONTRACT))
    (tmp_path / "y.txt").unlink()
    (tmp_path / "z.ann").write_text("")
    with pytest.raises(DataError, match=r"z\.ann: no z\.txt beside it"):
        list(read_documents(tmp_path, CONTRACT))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"got a folder with no \.ann in it"):
        list(read_documents(tmp_path / "empty", CONTRACT))


def test_text_in_another_encoding_or_with_nul_is_refused_with_its_line(tmp_path: Path) -> None:
    pair(tmp_path, "", "")
    for content, reason in [(b"a\n\xff", "expected utf-8 text, got byte 0xff at byte offset 2"), (b"a\n\0", "NUL")]:
        (tmp_path / "x.txt").write_bytes(content)
        with pytest.raises(DataError, match=rf"x\.txt:2: .*{reason}"):
            list(read_documents(tmp_path, CONTRACT))


def test_a_byte_order_mark_is_a_character_of_the_text_and_of_no_word(tmp_path: Path) -> None:
    (document,) = read_documents(pair(tmp_path, "\ufeffRed pill", "T1\tDRUG 1 4\tRed"), CONTRACT)
    assert document.sentences[0].words == ("Red", "pill")
    assert document.sentences[0].tags == ("B-DRUG", "O")


def test_folders_are_splits_of_a_study_and_of_a_site(tmp_path: Path) -> None:
    contract = ContractConfig(types=dict.fromkeys(CONTRACT.type_names, ""))
    for split in ("train", "dev", "test"):
        (tmp_path / "north" / split).mkdir(parents=True)
        pair(tmp_path / "north" / split, "Red pill", "T1\tDRUG 0 3\tRed")
    assert len(load_corpus(SitesData(contract=contract, root=str(tmp_path))).dev) == 1
    report = check(FilesData(contract=contract, train=[str(LETTERS)]))
    assert report.ok
    assert report.files[0].entities == {"PATIENT": 4, "DRUG": 3, "DOSE": 3}
