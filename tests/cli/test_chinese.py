"""Chinese, which puts no blank between words, from every reader through a federation into every writer."""

import json
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from fedner.cli import main
from fedner.config import TrainingConfig
from fedner.data.corpus import Document
from fedner.data.labels import EntityType, LabelContract, spans_of, write_contract
from fedner.data.reading import read_documents
from fedner.data.reading.formats.texts import read_texts
from fedner.data.writing import MarkedText, mark, write_brat
from fedner.learning.inference import predict_documents
from fedner.learning.tagger.model import load_tagger
from fedner.metrics import count, score

FIXTURE = Path(__file__).parent.parent / "data" / "fixtures" / "chinese.jsonl"
CONTRACT = LabelContract("letters", 1, tuple(EntityType(name) for name in ("PATIENT", "DRUG", "DOSE")))
ROWS = [json.loads(line) for line in FIXTURE.read_text(encoding="utf-8").splitlines()]


def spans(document: Document) -> list[tuple[str, int, int]]:
    return [
        (span.type, (sentence.offsets or ())[span.start][0], (sentence.offsets or ())[span.end - 1][1])
        for sentence in document.sentences
        for span in spans_of(sentence.tags)
    ]


def quoted(row: dict, span: dict) -> str:
    return row["text"][span["start"] : span["end"]]


def as_doccano(row: dict) -> str:
    return json.dumps({"text": row["text"], "label": [list(span.values()) for span in row["spans"]]})


def as_label_studio(row: dict) -> dict:
    values = [
        {"start": span["start"], "end": span["end"], "labels": [span["label"]], "text": quoted(row, span)}
        for span in row["spans"]
    ]
    result = [{"type": "labels", "value": value} for value in values]
    return {"data": {"text": row["text"]}, "annotations": [{"result": result}]}


def as_bioc_xml(row: dict) -> str:
    found = "".join(
        f'<annotation id="{number}"><infon key="type">{span["label"]}</infon><location offset="{span["start"]}" '
        f'length="{span["end"] - span["start"]}"/><text>{escape(quoted(row, span))}</text></annotation>'
        for number, span in enumerate(row["spans"])
    )
    text = f"<passage><offset>0</offset><text>{escape(row['text'])}</text>{found}</passage>"
    return f"<document><id>{row['id']}</id>{text}</document>"


def as_pubtator(row: dict) -> str:
    title, _, abstract = row["text"].partition("\n")
    lines = [f"{row['id']}|t|{title}", f"{row['id']}|a|{abstract}"]
    lines += [
        "\t".join([row["id"], *map(str, (s["start"], s["end"])), quoted(row, s), s["label"]]) for s in row["spans"]
    ]
    return "\n".join(lines)


FORMS = {
    "x.jsonl": "\n".join(json.dumps(row) for row in ROWS),
    "doccano.jsonl": "\n".join(map(as_doccano, ROWS)),
    "label_studio.json": json.dumps(list(map(as_label_studio, ROWS)), ensure_ascii=False),
    "spacy.json": json.dumps([{"text": row["text"], "ents": row["spans"]} for row in ROWS]),
    "x.xml": f'<?xml version="1.0"?><collection>{"".join(map(as_bioc_xml, ROWS))}</collection>',
    "x.pubtator": "\n\n".join(map(as_pubtator, ROWS)),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_reader_finds_the_same_characters(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(FORMS[name], encoding="utf-8")
    expected = [[(span["label"], span["start"], span["end"]) for span in row["spans"]] for row in ROWS]
    assert [spans(document) for document in read_documents(path, CONTRACT)] == expected


def chinese_encoder(folder: Path) -> None:
    """Write a random encoder whose vocabulary is the characters of the fixture."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    characters = sorted({character for row in ROWS for character in row["text"] if not character.isspace()})
    inner = [f"##{character}" for character in characters]  # of 40 and of mg, in both widths
    vocabulary = {piece: number for number, piece in enumerate([*special, *characters, *inner])}
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = BertNormalizer(lowercase=False)
    backend.pre_tokenizer = BertPreTokenizer()
    ends = [(piece, vocabulary[piece]) for piece in ("[CLS]", "[SEP]")]
    backend.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=backend, **names).save_pretrained(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(folder)


def test_a_federation_on_chinese_letters_predicts_into_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    chinese_encoder(tmp_path / "encoder")
    documents = tuple(read_documents(FIXTURE, CONTRACT))
    texts = list(read_texts(FIXTURE))
    for split, part in {"train": slice(0, 16), "dev": slice(16, 20), "test": slice(20, 24)}.items():
        gold = [
            MarkedText(text, document.sentences) for text, document in zip(texts[part], documents[part], strict=True)
        ]
        write_brat(gold, tmp_path / split)
    words = "data=files data.train=[train] data.dev=[dev] data.test=[test] partition=iid partition.sites=2 name=zh"
    knobs = "model=pretrained model.name=encoder model.max_length=32 training.lr=0.02 training.threads=1"
    write_contract(CONTRACT, "labels.yaml")
    rounds = ["federation.rounds=4", "training.device=cpu", "training.batch_size=4"]
    assert main(["simulate", *words.split(), *knobs.split(), *rounds, "data.contract_file=labels.yaml"]) == 0, (
        capsys.readouterr().err
    )

    tagger = load_tagger(tmp_path / "runs" / "zh" / "model")
    config = TrainingConfig(device="cpu", threads=1)
    encoded = tagger.encode(documents)
    assert encoded.stats.unknown_words == 0  # every character has its own piece, and so its own tag
    predicted = predict_documents(tagger, documents, config)
    expected = [spans(document) for document in predicted]
    gold = [sentence.tags for document in documents for sentence in document.sentences]
    found = [sentence.tags for document in predicted for sentence in document.sentences]
    assert score(count(gold, found, tagger.contract), tagger.contract).micro.f1 > 0.3  # it has learnt something

    model = str(tmp_path / "runs" / "zh" / "model")
    for form, output in {"brat": "out", "bioc": "out.json", "jsonl": "out.jsonl"}.items():
        assert main(["predict", model, str(FIXTURE), "--format", form, "--output", output]) == 0
        assert [spans(each) for each in read_in_order(tmp_path / output)] == expected
    assert main(["predict", model, str(FIXTURE), "--format", "conll", "--output", "out.conll"]) == 0
    columns = list(read_documents(tmp_path / "out.conll", CONTRACT))
    assert [sentence.tags for document in columns for sentence in document.sentences] == found
    assert [mark(text, document).source.text for text, document in zip(texts, predicted, strict=True)] == [
        row["text"] for row in ROWS
    ]
    assert main(["evaluate", model, str(tmp_path / "test"), "--json"]) == 0


def read_in_order(path: Path) -> list[Document]:
    """BRAT folders are read by name; the fixture counts."""
    return sorted(read_documents(path, CONTRACT), key=lambda document: int(document.id.rpartition("-")[2]))
