"""Every reader, fed what nobody would write on purpose: documents or an `InputError` that says where, nothing else.

Three kinds of input: valid files that were damaged, files put together from the format's own pieces, and any bytes at
all. By default some hundred cases a format; `-m fuzz` runs thousands.
"""

import json
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedner.config import Discontinuous, Misaligned, Nested, TextFormat
from fedner.data.labels import EntityType, LabelContract, spans_of, tags_of
from fedner.data.reading import ReadOptions, ReadReport, SpanPolicy, read_documents
from fedner.data.reading.formats.texts import read_texts
from fedner.errors import DataError, InputError

CONTRACT = LabelContract("letters", 1, tuple(EntityType(name) for name in ("PATIENT", "DRUG", "DOSE")))
LETTERS = Path(__file__).parent / "fixtures" / "letters"
POLICIES = st.builds(SpanPolicy, st.sampled_from(Misaligned), st.sampled_from(Nested), st.sampled_from(Discontinuous))

TEXT = "Ada nahm 安宁 5 mg 👩\u200d⚕.\nUnd e\u0301 \u200bmehr."
TASK = {
    "id": 3,
    "data": {"text": TEXT, "ward": "x"},
    "annotations": [
        {"result": [{"type": "labels", "value": {"start": 0, "end": 3, "text": "Ada", "labels": ["PATIENT"]}}]}
    ],
}
PASSAGE = {
    "offset": 0,
    "text": TEXT,
    "annotations": [{"id": "1", "infons": {"type": "DRUG"}, "text": "安宁", "locations": [{"offset": 9, "length": 2}]}],
}
VALID: dict[TextFormat, list[str]] = {
    TextFormat.conll: ["-DOCSTART-\tO\n\nAda\tB-PATIENT\nnahm\tO\n\n安\tB-DRUG\n宁\tI-DRUG\n"],
    TextFormat.jsonl: [
        json.dumps({"id": 1, "text": TEXT, "spans": [{"start": 0, "end": 3, "label": "PATIENT"}]}),
        json.dumps({"doc_id": "a", "tokens": ["Ada", "nahm"], "tags": ["B-PATIENT", "O"]}),
    ],
    TextFormat.bioc_json: [
        json.dumps({"documents": [{"id": "7", "infons": {"a": "b"}, "passages": [PASSAGE]}]}, indent=1),
        json.dumps({"id": "7", "passages": [{"offset": 0, "sentences": [PASSAGE]}]}),
    ],
    TextFormat.bioc_xml: [
        '<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE collection SYSTEM "BioC.dtd">\n<collection><document><id>7'
        f"</id><infon key='a'>b</infon><passage><offset>0</offset><text>{TEXT}</text><annotation id='1'><infon key="
        "'type'>DRUG</infon><location offset='9' length='2'/><text>安宁</text></annotation></passage></document>"
        "</collection>"
    ],
    TextFormat.pubtator: [
        "7|t|Ada nahm 安宁\n7|a|Es half Ada.\n7\t0\t3\tAda\tPATIENT\tx\n7\t9\t11\t安宁\tDRUG\n7\tCID\ta\tb\n\n"
        "8|t|x\n8|a|\n"
    ],
    TextFormat.doccano: [
        json.dumps({"id": 1, "text": TEXT, "label": [[0, 3, "PATIENT"], [12, 16, "DOSE"]], "ward": "x"}),
        json.dumps(
            {"text": TEXT, "entities": [{"start_offset": 0, "end_offset": 3, "label": "DRUG"}], "relations": []}
        ),
    ],
    TextFormat.label_studio: [
        json.dumps([TASK, {"data": {"text": "x"}, "annotations": []}], ensure_ascii=False, indent=1),
        json.dumps(
            [{"id": 1, "text": TEXT, "label": [{"start": 0, "end": 3, "labels": ["PATIENT"]}], "lead_time": 1.5}]
        ),
    ],
    TextFormat.spacy_json: [
        json.dumps(
            [{"text": TEXT, "ents": [{"start": 0, "end": 3, "label": "DRUG"}], "tokens": [{"start": 0, "end": 3}]}]
        ),
        json.dumps(
            [
                {
                    "id": 0,
                    "paragraphs": [
                        {"sentences": [{"tokens": [{"orth": "Ada", "ner": "B-DRUG"}, {"orth": "x", "ner": "L-DRUG"}]}]}
                    ],
                }
            ]
        ),
        json.dumps([[TEXT, {"entities": [[0, 3, "DRUG"]]}]]),
    ],
}
JSON_FORMATS = [
    TextFormat.jsonl,
    TextFormat.bioc_json,
    TextFormat.doccano,
    TextFormat.label_studio,
    TextFormat.spacy_json,
]

# fmt: off
TRICKY = [
    "\0", "\ufeff", "\r", "\r\n", "\n\n", "\t", " ", "\u2028", "\u200b", "\u202e", "e\u0301", "👩\u200d⚕", "１２",
    "\x85", "\x1c", '"', "\\", "\\ud800", "\\u0000", "{", "}", "[", "]", ",", ":", "null", "true", "NaN", "-1", "0.5",
    "1e999", "[" * 3000, "9" * 5000, "9" * 11, "O", "B-DRUG", "I-", "DRUG", "XYZ", "7|t|", "7|a|x", "8|t|y", ";",
    " 0 3", "T1", "R1\t", "#", "<", ">", "&", "&lt;", "&x;", "&#0;", "&#xD800;", "<text>", "</text>", "<passage>",
    "</document>", "<x>" * 100, "<![CDATA[", "<!--",
    *('<!DOCTYPE a [<!ENTITY x "y">]>', '<!ENTITY x SYSTEM "file:///etc/passwd">'),
]
# fmt: on


@st.composite
def damaged(draw: st.DrawFn, contents: list[str]) -> bytes:
    """A valid file after one to four accidents."""
    text = draw(st.sampled_from(contents))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 30)))
        middle = draw(st.sampled_from(["", text[start:end] * 2, *TRICKY]) | st.text(max_size=3))
        text = text[:start] + middle + text[end if draw(st.booleans()) else start :]
    content = text.encode("utf-8", "surrogatepass")
    if draw(st.integers(0, 4)) == 0:
        cut = draw(st.integers(0, len(content)))
        content = content[:cut] + draw(st.binary(max_size=4))
    return content


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 30)
    | st.floats()
    | st.sampled_from(
        [10**11, 10**30, TEXT, "Ada", "DRUG", "PATIENT", "U-DRUG", "B-DRUG", "L-DRUG", "", "\ud800", "a\0b", "labels"]
    )
)
# fmt: off
KEYS = st.sampled_from([
    "id", "text", "data", "annotations", "result", "type", "value", "start", "end", "labels", "label", "spans",
    "entities", "start_offset", "end_offset", "tokens", "tags", "documents", "passages", "sentences", "offset",
    "infons", "locations", "length", "relations", "ents", "orth", "ner", "paragraphs", "key", "was_cancelled",
    "ground_truth", "metadata", "doc_id", "startOffset", "PubTator3"
])
# fmt: on
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6), max_leaves=25
)


@st.composite
def standoff(draw: st.DrawFn) -> bytes:
    """Lines that BRAT might have written."""
    lines: list[str] = []
    for number in range(draw(st.integers(0, 6))):
        pieces = draw(st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), min_size=1, max_size=3))
        where = ";".join(f"{start} {end}" for start, end in pieces)
        label = draw(st.sampled_from(["DRUG", "DOSE", "PATIENT", "XYZ"]))
        quoted = draw(st.sampled_from(["", f"\t{TEXT[pieces[0][0] : pieces[0][1]]}", "\tAda"]))
        lines.append(
            draw(st.sampled_from([f"T{number}\t{label} {where}{quoted}", "R1\tx Arg1:T1", "#1\tnote", "T", "E1"]))
        )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


class Bench:
    """One folder for all cases, since making one for each would take most of the time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, form: TextFormat, content: bytes, policy: SpanPolicy) -> None:
        path = self.folder / "x"
        path.write_bytes(content)
        self.read(path, form, policy)
        self.read(path, TextFormat.auto, policy)

    def pair(self, text: bytes, annotations: bytes, policy: SpanPolicy) -> None:
        folder = self.folder / "pair"
        folder.mkdir(exist_ok=True)
        (folder / "x.txt").write_bytes(text)
        (folder / "x.ann").write_bytes(annotations)
        self.read(folder, TextFormat.auto, policy)

    def read(self, path: Path, form: TextFormat, policy: SpanPolicy) -> None:
        """Read, and check whatever comes out."""
        options = ReadOptions(format=form, spans=policy)
        report = ReadReport(str(path))
        try:
            for document in read_documents(path, CONTRACT, options, report):
                assert document.sentences
                edge = 0
                for sentence in document.sentences:
                    assert len(sentence.words) == len(sentence.tags) > 0
                    assert all(word.strip() for word in sentence.words)
                    assert list(sentence.tags) == tags_of(spans_of(sentence.tags), len(sentence.words))
                    assert {span.type for span in spans_of(sentence.tags)} <= set(CONTRACT.type_names)
                    for start, end in sentence.offsets or ():
                        assert edge <= start < end or document.sentences.index(sentence) > 0
                        edge = end
        except InputError as error:
            self.refused(error, path)
        try:
            for text in read_texts(path, form):
                text.text.encode()
        except InputError as error:
            self.refused(error, path)

    @staticmethod
    def refused(error: InputError, path: Path) -> None:
        """A refusal names the file, is one sentence of bearable length, and no text of Python's own."""
        message = str(error)
        assert message.startswith(str(path)), message
        assert len(message) < 1500, message
        assert "Traceback" not in message
        if isinstance(error, DataError) and error.line is not None:
            assert error.line > 0


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("fuzz"))


def cases(number: int) -> settings:
    """Settings for so many cases, however large or slow to make."""
    return settings(max_examples=number, suppress_health_check=list(HealthCheck))


LONG = "x " * 100_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.conll", "x\tO\n" * 100_000),
        ("x.jsonl", json.dumps({"text": LONG, "spans": []})),
        ("x.json", json.dumps({"documents": [{"id": "7", "passages": [{"offset": 0, "text": LONG}]}]})),
        (
            "x.xml",
            f"<collection><document><passage><offset>0</offset><text>{LONG}</text></passage></document></collection>",
        ),
        ("x.pubtator", f"7|t|{LONG}\n7|a|\n"),
        ("y.jsonl", json.dumps({"text": LONG, "label": []})),
        ("y.json", json.dumps([{"data": {"text": LONG}, "annotations": [{"result": []}]}])),
        ("z.json", json.dumps([{"text": LONG, "ents": []}])),
    ],
)
def test_a_sentence_of_100000_words_is_refused_with_its_line(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError, match=rf"{name}:1: expected sentences of at most 20,000 words"):
        list(read_documents(path, CONTRACT))


SIZES = [pytest.param(60, id="some"), pytest.param(1000, id="many", marks=pytest.mark.fuzz)]


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize("form", VALID)
def test_a_damaged_file_is_read_or_refused(bench: Bench, form: TextFormat, number: int) -> None:
    cases(number)(given(damaged(VALID[form]), POLICIES)(lambda content, policy: bench.file(form, content, policy)))()


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize("form", JSON_FORMATS)
def test_json_made_of_the_formats_own_keys_is_read_or_refused(bench: Bench, form: TextFormat, number: int) -> None:
    cases(number)(
        given(ANY_JSON, POLICIES)(lambda value, policy: bench.file(form, json.dumps(value).encode(), policy))
    )()


@pytest.mark.parametrize("number", SIZES)
def test_standoff_made_of_its_own_pieces_and_damaged_is_read_or_refused(bench: Bench, number: int) -> None:
    damaged_letter = damaged([path.read_bytes().decode() for path in sorted(LETTERS.rglob("*.ann"))])
    texts = st.just(TEXT.encode()) | damaged([TEXT]) | st.just((LETTERS / "letter-2.txt").read_bytes())
    cases(number)(given(texts, standoff() | damaged_letter, POLICIES)(bench.pair))()


@pytest.mark.parametrize("number", SIZES)
@pytest.mark.parametrize("form", [*VALID, TextFormat.docbin])
def test_any_bytes_are_read_or_refused(bench: Bench, form: TextFormat, number: int) -> None:
    content = st.binary(max_size=100)
    cases(number)(given(content, POLICIES)(lambda content, policy: bench.file(form, content, policy)))()


def is_msgpack(value: object) -> bool:
    """msgpack has neither halves of surrogate pairs nor numbers beyond 64 bits."""
    text = json.dumps(value)
    return "\\ud" not in text and "0" * 29 not in text


@pytest.mark.slow  # spaCy is not among the developers' extras
@pytest.mark.parametrize("number", SIZES)
def test_a_damaged_docbin_is_read_or_refused(bench: Bench, number: int) -> None:
    spacy = pytest.importorskip("spacy")
    import msgpack
    from spacy.tokens import Doc, DocBin

    vocab = spacy.blank("en").vocab
    doc = Doc(vocab, words=["Ada", "took", "安宁", "\n"], ents=["B-PATIENT", "O", "B-DRUG", "O"])
    content = msgpack.unpackb(zlib.decompress(DocBin(docs=[doc, doc]).to_bytes()), strict_map_key=False)
    replacements = ANY_JSON.filter(is_msgpack) | st.binary(max_size=40)

    def damage(key: str, value: object, cut: int, flip: int, policy: SpanPolicy) -> None:
        whole = content[key]
        if isinstance(whole, bytes) and cut % 3:
            at = cut % len(whole)
            value = whole[:at] if cut % 3 == 1 else whole[:at] + bytes([flip]) + whole[at + 1 :]
        packed = zlib.compress(msgpack.packb({**content, key: value}))
        bench.file(TextFormat.docbin, packed, policy)

    keys = st.sampled_from(sorted(content))
    spread = st.integers(0, 10_000)
    cases(number)(given(keys, replacements, spread, st.integers(0, 255), POLICIES)(damage))()
