"""BioC JSON and XML, and PubTator: small collections written for these tests, and the `bioc` package as an oracle."""

import json
from pathlib import Path

import pytest

from fedner.data.corpus import Document
from fedner.data.labels import EntityType, LabelContract, spans_of
from fedner.data.reading import ReadReport, detect_format, read_documents
from fedner.errors import DataError

CONTRACT = LabelContract("abstracts", 1, (EntityType("Chemical"), EntityType("Disease")))


def annotation(offset: int, text: str, label: str, name: str = "1") -> dict[str, object]:
    locations = [{"offset": offset, "length": len(text)}]
    return {"id": name, "infons": {"type": label}, "text": text, "locations": locations}


def passage(offset: int, text: str, *found: dict[str, object]) -> dict[str, object]:
    return {"offset": offset, "infons": {}, "text": text, "sentences": [], "annotations": list(found), "relations": []}


# "Brackolin in gout." has 18 characters; the abstract begins at 20, as if two characters stood between.
COLLECTION = {
    "source": "fedner",
    "date": "",
    "key": "",
    "infons": {},
    "documents": [
        {
            "id": "7",
            "infons": {"journal": "Amble"},
            "passages": [
                passage(
                    0, "Brackolin in gout.", annotation(0, "Brackolin", "Chemical"), annotation(13, "gout", "Disease")
                ),
                passage(20, "Gout > 安宁.", annotation(20, "Gout", "Disease"), annotation(27, "安宁", "Chemical")),
            ],
            "annotations": [],
            "relations": [{"id": "R1", "infons": {}, "nodes": []}],
        }
    ],
}
XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source>fedner</source><date/><key/>
<document><id>7</id><infon key="journal">Amble</infon>
<passage><offset>0</offset><text>Brackolin in gout.</text>
<annotation id="1"><infon key="type">Chemical</infon><location offset="0" length="9"/><text>Brackolin</text>
</annotation>
<annotation id="2"><infon key="type">Disease</infon><location offset="13" length="4"/><text>gout</text></annotation>
</passage>
<passage><offset>20</offset><text>Gout &gt; 安宁.</text>
<annotation id="3"><infon key="type">Disease</infon><location offset="20" length="4"/><text>Gout</text></annotation>
<annotation id="4"><infon key="type">Chemical</infon><location offset="27" length="2"/><text>安宁</text></annotation>
</passage><relation id="R1"><infon key="relation">CID</infon></relation></document>
</collection>
"""
PUBTATOR = (
    "7|t|Brackolin in gout.\n7|a|Gout > 安宁.\n7\t0\t9\tBrackolin\tChemical\tD1\n7\t13\t17\tgout\tDisease\tD2\n"
    "7\t19\t23\tGout\tDisease\tD2\n7\t26\t28\t安宁\tChemical\tD3\n7\tCID\tD1\tD2\n\n"
)


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def entities(document: Document) -> list[tuple[str, int, int]]:
    return [
        (span.type, (sentence.offsets or ())[span.start][0], (sentence.offsets or ())[span.end - 1][1])
        for sentence in document.sentences
        for span in spans_of(sentence.tags)
    ]


@pytest.mark.parametrize(("name", "content"), [("x.json", COLLECTION), ("x.xml", XML), ("x", XML)])
def test_passages_are_sentences_and_offsets_those_of_the_document(tmp_path: Path, name: str, content: object) -> None:
    report = ReadReport("x")
    (document,) = read_documents(write(tmp_path, name, content), CONTRACT, report=report)
    assert (document.id, document.metadata["journal"]) == ("x:7", "Amble")
    assert [" ".join(sentence.words) for sentence in document.sentences] == ["Brackolin in gout .", "Gout > 安 宁 ."]
    expected = [("Chemical", 0, 9), ("Disease", 13, 17), ("Disease", 20, 24), ("Chemical", 27, 29)]
    assert entities(document) == expected


def test_pubtator_counts_one_character_between_title_and_abstract(tmp_path: Path) -> None:
    report = ReadReport("x")
    path = write(tmp_path, "x.txt", PUBTATOR)
    assert detect_format(path) == "pubtator"
    (document,) = read_documents(path, CONTRACT, report=report)
    assert entities(document) == [("Chemical", 0, 9), ("Disease", 13, 17), ("Disease", 19, 23), ("Chemical", 26, 28)]
    assert report.ignored == {"relations": 1}


@pytest.mark.slow  # with its package alone, see `make test-slow`
def test_the_bioc_package_finds_the_same(tmp_path: Path) -> None:
    bioc = pytest.importorskip("bioc")
    from bioc import biocjson, biocxml, pubtator

    del bioc
    ours = {
        name: entities(next(iter(read_documents(write(tmp_path, name, content), CONTRACT))))
        for name, content in [("x.json", COLLECTION), ("x.xml", XML), ("x.pubtator", PUBTATOR)]
    }
    for name, collection in [("x.json", biocjson.loads(json.dumps(COLLECTION))), ("x.xml", biocxml.loads(XML))]:
        theirs = [
            (found.infons["type"], found.total_span.offset, found.total_span.end)
            for passage in collection.documents[0].passages
            for found in passage.annotations
        ]
        assert ours[name] == theirs
    (document,) = pubtator.loads(PUBTATOR)
    assert ours["x.pubtator"] == [(found.type, found.start, found.end) for found in document.annotations]


def test_sentences_pubtator_3_and_one_document_a_line_are_read_too(tmp_path: Path) -> None:
    document = COLLECTION["documents"][0]
    sentences = {"offset": 0, "sentences": [passage(0, "Gout.", annotation(0, "Gout", "Disease")), passage(6, "Gout.")]}
    for content in (
        json.dumps({"PubTator3": [document]}, indent=2),
        "\n".join(json.dumps({**document, "id": name}) for name in "ab"),
        json.dumps({"documents": [{"id": "s", "passages": [sentences]}]}),
    ):
        assert list(read_documents(write(tmp_path, "x.json", content), CONTRACT))
    (document,) = read_documents(write(tmp_path, "x.json", {"documents": [{"passages": [sentences]}]}), CONTRACT)
    assert [sentence.words for sentence in document.sentences] == [("Gout", "."), ("Gout", ".")]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (passage(0, "Gout", annotation(0, "Gout", "")), r"annotations\[0\]: expected an infon `type`"),
        (passage(0, "Gout", annotation(1, "Gout", "Disease")), r"annotations\[0\]: span 1\.\.5 .*does not lie within"),
        (passage(0, "Gout", annotation(0, "gut ", "Disease")), r"annotations\[0\]: expected 'gut ' at 0\.\.4"),
        ({"text": "Gout"}, r"passages\[1\]: expected `offset`, got text"),
        (passage(3, "Gout"), r"passages\[1\]: begins at character 3, but the passage before it ends at 6"),
        (passage(10**9, "Gout"), r"passages\[1\]: begins 999,999,994 characters after"),
        ({"offset": "0", "text": "Gout"}, r"passages\[1\]\.offset: expected a whole number, got '0'"),
        ({"offset": 9, "text": "\ud800"}, r"passages\[1\]\.text: .*surrogate"),
    ],
)
def test_a_broken_document_is_refused_with_its_line_and_path(tmp_path: Path, broken: object, reason: str) -> None:
    first = passage(0, "Ahem.\n")
    passages = [broken] if isinstance(broken, dict) and broken.get("offset") == 0 else [first, broken]
    content = {"documents": [COLLECTION["documents"][0], {"id": "8", "passages": passages}]}
    head, tail = json.dumps(content).split('{"id": "8"')
    path = write(tmp_path, "x.json", head + '\n\n{"id": "8"' + tail)
    with pytest.raises(
        DataError, match=rf"x\.json:3: documents\[1\]\.passages\[.\].*{reason.removeprefix('passages')}|{reason}"
    ):
        list(read_documents(path, CONTRACT))


BOMB = '<!DOCTYPE collection [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>\n<collection>&b;</collection>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB, r"x\.xml:1: the XML declares an entity"),
        ('<!DOCTYPE c [<!ENTITY a SYSTEM "file:///etc/passwd">]><collection>&a;</collection>', "declares an entity"),
        (XML.replace("Gout &gt;", "Gout &alpha;"), r"x\.xml:10: the XML uses an entity that is not XML's own"),
        (XML.replace("</document>", ""), r"x\.xml:14: expected XML, got it invalid \(mismatched tag\)"),
        (XML[:300], "got it invalid"),
        (
            XML.replace('offset="20" ', 'offset="x" '),
            r"x\.xml:11: annotation 3.*location.*: offset: expected a whole number|x\.xml:11: location: offset",
        ),
        ("<html/>", "expected a BioC <collection>, got <html>"),
        ("<collection>" + "<x>" * 100, "nested at most 64 deep"),
        (XML.replace("UTF-8", "nonsense"), "x.xml:1: expected XML"),
    ],
)
def test_xml_that_is_broken_or_dangerous_is_refused_with_its_line(tmp_path: Path, content: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(read_documents(write(tmp_path, "x.xml", content), CONTRACT))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("8\t0\t1\tx\tDisease", r"x:3: expected a title .* or a mention of the document above"),
        ("8|a|x", "x:3: the abstract of '8' has no title above it"),
        ("7\t0\t4\tGout", "x:3: expected a mention such as"),
        ("7\t0\t4x\tGout\tDisease", "x:3: expected a mention such as"),
        ("7\t0\t4\tgout\tDisease", "x:3: expected 'gout' at 0..4"),
    ],
)
def test_a_broken_pubtator_line_is_refused(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        list(read_documents(write(tmp_path, "x", f"7|t|Gout\n7|a|\n{line}\n"), CONTRACT))
