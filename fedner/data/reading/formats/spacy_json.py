"""spaCy's JSON forms: `Doc.to_json` (spaCy 3), the training format of spaCy 2, and pairs of text and entities.

    {"text": "Aspirin helps", "ents": [{"start": 0, "end": 7, "label": "DRUG"}], "tokens": [{"start": 0, "end": 7}, …]}
    {"id": 0, "paragraphs": [{"sentences": [{"tokens": [{"orth": "Aspirin", "ner": "U-DRUG"}, …]}]}]}
    ["Aspirin helps", {"entities": [[0, 7, "DRUG"]]}]

Documents stand in an array, one a line, or under `annotations`. Where there are tokens, they are the words, so that a
span on spaCy's tokens is on ours; without, `split_words` finds them. In the second form each sentence is a line of the
document's text, in which words have a blank between them.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from fedner.data.reading.annotations import AnnotatedText, Annotation, Characters, spelled
from fedner.data.reading.json_values import Value, read_values
from fedner.data.reading.source import Place, ReadReport


def read_spacy_json(path: str | Path, encoding: str, report: ReadReport) -> Iterator[AnnotatedText]:
    """Yield the documents.

    Raises:
        DataError: as `read_values`; something is missing or of the wrong form.
    """
    for document in read_values(path, ("annotations",), encoding):
        if document.value is None:
            continue  # what the NER Annotator writes for an empty line
        if isinstance(document.value, list):
            yield _pair(document)
        elif document.has("paragraphs"):
            yield _paragraphs(document)
        else:
            yield _doc(document)


def _doc(document: Value) -> AnnotatedText:
    text = document.field("text").text()
    spans = [
        Annotation(ent.field("label").text(), ((ent.field("start").number(), ent.field("end").number()),), ent.place)
        for ent in document.field("ents").items()
    ]
    words: list[Characters] = []
    for token in document.list_of("tokens"):
        start, end = token.field("start").number(), token.field("end").number()
        if not (words[-1][1] if words else 0) <= start < end <= len(text):
            raise token.place.error(f"expected tokens in order within {len(text)} characters, got {start}..{end}")
        if text[start:end].strip():
            words.append((start, end))
    return AnnotatedText(None, text, tuple(spans), document.place, words=tuple(words) or None)


def _pair(document: Value) -> AnnotatedText:
    pair = list(document.items())
    if len(pair) != 2:
        raise document.wrong('a pair ["text", {"entities": [[start, end, label], …]}]')
    spans: list[Annotation] = []
    for entry in pair[1].field("entities").items():
        cells = list(entry.items())
        if len(cells) != 3:
            raise entry.wrong("[start, end, label]")
        spans.append(Annotation(cells[2].text(), ((cells[0].number(), cells[1].number()),), entry.place))
    return AnnotatedText(None, pair[0].text(), tuple(spans), document.place)


def _paragraphs(document: Value) -> AnnotatedText:
    """Put the document's text together from its sentences' tokens, which need not say where they stand."""
    texts: list[str] = []
    words: list[Characters] = []
    spans: list[Annotation] = []
    base = 0
    for paragraph in document.field("paragraphs").items():
        for sentence in paragraph.field("sentences").items():
            tokens = [token for token in sentence.field("tokens").items() if token.field("orth").text().strip()]
            line, places = spelled([" ".join(token.field("orth").text().split()) for token in tokens])
            here = [(base + start, base + end) for start, end in places]
            spans += _entities(tokens, here)
            words += here
            texts.append(line)
            base += len(line) + 1
    parts: list[Characters] = []
    start = 0
    for line in texts:
        parts.append((start, start + len(line)))
        start += len(line) + 1
    identity = document.field("id").name() if document.has("id") else None
    return AnnotatedText(identity, "\n".join(texts), tuple(spans), document.place, tuple(parts), tuple(words))


def _entities(tokens: Sequence[Value], places: Sequence[Characters]) -> Iterator[Annotation]:
    """Yield the entities of one sentence, whose tags are BILUO."""
    begun: tuple[str, int, Place] | None = None
    for token, (start, end) in zip(tokens, places, strict=True):
        tag = token.field("ner").text() if token.has("ner") else "O"
        letter, _, label = tag.partition("-")
        known = letter in ("B", "I", "L", "U") and label
        if (begun is not None) != (letter in ("I", "L")) or (begun is not None and begun[0] != label):
            raise token.place.error(f"ner: the BILUO tag {tag!r:.80} cannot stand here; B, I … L or U alone")
        if not known and tag not in ("O", "-", ""):
            raise token.place.error(f"ner: expected a BILUO tag such as 'U-DRUG' or 'O', got {tag!r:.80}")
        if letter == "B":
            begun = (label, start, token.place)
        elif known and letter == "U":
            yield Annotation(label, ((start, end),), token.place)
        elif letter == "L" and begun is not None:
            yield Annotation(label, ((begun[1], end),), begun[2])
            begun = None
    if begun is not None:
        raise begun[2].error(f"ner: B-{begun[0]:.80} is never closed by L-{begun[0]:.80}")
