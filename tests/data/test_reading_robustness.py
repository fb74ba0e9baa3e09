"""Whatever the bytes, a reader gives documents with legal tags or an `InputError` that says where; nothing else."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.config import TagScheme, TextFormat
from fedner.data.labels import EntityType, LabelContract, spans_of, tags_of
from fedner.data.reading import ReadOptions, read_documents
from fedner.errors import InputError

CONTRACT = LabelContract("news", 1, (EntityType("PER"), EntityType("LOC")))
CHARACTERS = "\t \n#{\r\0\ufeff\u2028\u200b"
PARTS = ("\n\n", "\r\n", "# ", "-DOCSTART-", "# newdoc id = 1", "# a = b", "word")
TAGS = ("O", "B-PER", "I-LOC", "E-PER", "PER", "B-X")
cells = st.sampled_from([*CHARACTERS, *PARTS, *TAGS])
values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 9) | st.floats() | st.sampled_from(["PER", "O", "B-LOC", "ab c\nd"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["start", "end", "label"]), inner)
        | st.fixed_dictionaries({"start": st.integers(0, 4), "end": st.integers(0, 6), "label": st.just("PER")})
    ),
    max_leaves=5,
)
keys = st.sampled_from(["tokens", "tags", "text", "spans", "id", "doc_id", "metadata", "tag_names"])
rows = st.lists(st.dictionaries(keys, values) | values, max_size=3)


def read_or_refuse(folder: Path, content: bytes, options: ReadOptions) -> None:
    path = folder / "x"
    path.write_bytes(content)
    try:
        documents = list(read_documents(path, CONTRACT, options))
    except InputError as error:
        if not str(error).startswith(str(path)):
            raise
        return
    assert documents
    for sentence in (sentence for document in documents for sentence in document.sentences):
        assert len(sentence.words) == len(sentence.tags) > 0
        assert list(sentence.tags) == tags_of(spans_of(sentence.tags), len(sentence.words))
        assert {span.type for span in spans_of(sentence.tags)} <= set(CONTRACT.type_names)


@given(st.lists(cells, max_size=30).map("".join), st.sampled_from(TagScheme), st.sampled_from(TextFormat))
def test_text_made_of_tricky_parts(
    tmp_path_factory: pytest.TempPathFactory, text: str, scheme: TagScheme, form: TextFormat
) -> None:
    options = ReadOptions(scheme=scheme, format=form)
    read_or_refuse(tmp_path_factory.mktemp("text"), text.encode(), options)


@given(st.binary(max_size=200), st.sampled_from(["utf-8", "utf-16", "latin-1", "gb18030", "utf-7", "cp037"]))
def test_any_bytes_in_any_encoding(tmp_path_factory: pytest.TempPathFactory, content: bytes, encoding: str) -> None:
    read_or_refuse(tmp_path_factory.mktemp("bytes"), content, ReadOptions(encoding=encoding))


@given(rows)
def test_any_json(tmp_path_factory: pytest.TempPathFactory, content: list[object]) -> None:
    text = "\n".join(json.dumps(row) for row in content)
    read_or_refuse(tmp_path_factory.mktemp("json"), text.encode(), ReadOptions(format=TextFormat.jsonl))
