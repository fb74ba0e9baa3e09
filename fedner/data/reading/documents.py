"""From a source to documents whose tags are legal IOB2 of the contract, one document at a time."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedner.config import OnIllegal, TagScheme, TextFilesData, TextFormat
from fedner.data.corpus import Document, Sentence
from fedner.data.labels import LabelSet
from fedner.data.reading.annotations import AnnotatedText, SpanPolicy, to_sentences
from fedner.data.reading.detection import TEXT_READERS, detect_format
from fedner.data.reading.formats.conll import ConllColumns, read_conll
from fedner.data.reading.formats.jsonl import read_jsonl
from fedner.data.reading.schemes import check_tags, detect_scheme, pairs_of, to_iob2
from fedner.data.reading.source import RawDocument, RawSentence, ReadReport, Source
from fedner.errors import DataError


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a file; the fields are those of `FilesData`."""

    format: TextFormat = TextFormat.auto
    scheme: TagScheme = TagScheme.auto
    on_illegal: OnIllegal = OnIllegal.repair
    encoding: str = "utf-8"
    word_column: int = 0
    tag_column: int = -1
    spans: SpanPolicy = field(default_factory=SpanPolicy)


def options_of(config: TextFilesData) -> ReadOptions:
    """Return what the configuration says about files."""
    return ReadOptions(
        config.format,
        config.scheme,
        config.on_illegal,
        config.encoding,
        config.word_column,
        config.tag_column,
        SpanPolicy(config.misaligned, config.nested, config.discontinuous),
    )


def read_documents(
    path: str | Path,
    contract: LabelSet,
    options: ReadOptions | None = None,
    report: ReadReport | None = None,
    name: str | None = None,
) -> Iterator[Document]:
    """Yield a file's documents; memory does not grow with the file.

    Args:
        report: filled while the documents are read.
        name: what document ids start with, the file's stem by default; ids are `name:id` or `name:number`.

    Raises:
        DataError: the file cannot be read or its content is wrong.
        LabelError: a tag is not of the contract.
    """
    options = options or ReadOptions()
    report = report if report is not None else ReadReport(str(path))
    report.format = _format(path, options)
    source = file_source(path, contract, options)
    # Tags made of spans are of no scheme that could be detected.
    scheme = TagScheme.iob2 if report.format in TEXT_READERS else options.scheme
    metadata = {"source": Path(path).name}
    for document in normalised(source, contract, scheme, options.on_illegal, report):
        yield Document(
            f"{Path(path).stem if name is None else name}:{document.id}",
            document.sentences,
            metadata | dict(document.metadata),
        )


def file_source(path: str | Path, contract: LabelSet, options: ReadOptions) -> Source:
    """Return the source that a file is."""
    columns = ConllColumns(options.word_column, options.tag_column)

    def source(report: ReadReport) -> Iterator[RawDocument]:
        kind = _format(path, options)
        if kind is TextFormat.conll:
            return read_conll(path, contract, report, columns, options.encoding)
        if kind is TextFormat.jsonl:
            return read_jsonl(path, contract, report, options.spans, options.encoding)
        return _from_texts(TEXT_READERS[kind](path, options.encoding, report), contract, options.spans, report)

    return source


def _format(path: str | Path, options: ReadOptions) -> TextFormat:
    return detect_format(path, options.encoding) if options.format is TextFormat.auto else options.format


def _from_texts(
    texts: Iterator[AnnotatedText], contract: LabelSet, policy: SpanPolicy, report: ReadReport
) -> Iterator[RawDocument]:
    for text in texts:
        if not text.annotated:
            report.unannotated += 1
            continue
        document = to_sentences(text, contract, policy, report)
        if document.sentences:
            yield document
        else:
            report.empty_documents += 1


def normalised(
    source: Source, contract: LabelSet, scheme: TagScheme, on_illegal: OnIllegal, report: ReadReport
) -> Iterator[Document]:
    """Yield the documents of a source with legal IOB2 tags; scheme `auto` reads it twice.

    Raises:
        DataError: the content is wrong, an id is used twice, or a tag sequence is illegal and is to be refused.
        LabelError: a tag is not of the scheme or not of the contract.
    """
    report.scheme_detected = scheme is TagScheme.auto
    report.scheme = _survey(source, contract, report.path) if scheme is TagScheme.auto else scheme
    ids: set[str] = set()
    checked: set[str] = set()
    for raw in source(report):
        _check_id(raw, ids, report)
        for sentence in raw.sentences:
            if not sentence.exact and not checked.issuperset(sentence.tags):
                check_tags(_first_lines(sentence), report.scheme, contract, report.path)
                checked.update(sentence.tags)
        sentences = tuple(_sentence(sentence, on_illegal, report) for sentence in raw.sentences)
        yield Document(str(report.documents) if raw.id is None else raw.id, sentences, raw.metadata)
        report.documents += 1
    if report.documents == 0:
        raise DataError("expected words with tags, got none at all; is this the right file?", report.path)


def _check_id(raw: RawDocument, ids: set[str], report: ReadReport) -> None:
    """Refuse an id used twice, and a source in which some documents have ids and others are numbered."""
    line = raw.sentences[0].line
    if raw.id in ids:
        raise DataError(
            f"document id '{raw.id:.80}' is used twice; give each document its own id and put its sentences together",
            report.path,
            line,
        )
    if report.documents and (raw.id is None) != (not ids):
        raise DataError("some documents have an id and others have none; name all of them or none", report.path, line)
    if raw.id is not None:
        ids.add(raw.id)


def _survey(source: Source, contract: LabelSet, path: str) -> TagScheme:
    """Read the tags once, to detect the scheme and every tag that does not belong."""
    pairs: Counter[tuple[str, str]] = Counter()
    first_lines: dict[str, int] = {}
    for document in source(ReadReport(path)):
        for sentence in document.sentences:
            if not sentence.exact:
                pairs.update(pairs_of(sentence.tags))
                if not first_lines.keys() >= set(sentence.tags):
                    first_lines = _first_lines(sentence) | first_lines
    scheme = detect_scheme(pairs, contract)
    check_tags(first_lines, scheme, contract, path)
    return scheme


def _first_lines(sentence: RawSentence) -> dict[str, int]:
    return {tag: sentence.line_of(index) for index, tag in reversed(list(enumerate(sentence.tags)))}


def _sentence(raw: RawSentence, on_illegal: OnIllegal, report: ReadReport) -> Sentence:
    tags, faults = (raw.tags, []) if raw.exact else to_iob2(raw.tags, report.scheme)
    for index, kind in faults:
        line = raw.line_of(index)
        if on_illegal is OnIllegal.refuse:
            raise DataError(
                f"illegal {report.scheme.upper()} tags ({kind}): {raw.tags[index]!r} follows "
                f"{raw.tags[index - 1] if index else 'the start of the sentence'!r}; mend the tags, set data.scheme, "
                "or set data.on_illegal=repair",
                report.path,
                line,
            )
        report.repairs[kind] += 1
        report.first_repair_lines.setdefault(kind, line)
    report.sentences += 1
    report.words += len(raw.words)
    report.entities.update(tag[2:] for tag in tags if tag.startswith("B-"))
    return Sentence(raw.words, tags, raw.offsets)
