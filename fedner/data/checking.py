"""Is a corpus fit to train on, and what is in it: `fedner data check` and `fedner data stats`.

`check` streams every file to its end or its first error and never stops at the first bad file. `stats` counts a corpus
in memory. Both return plain dataclasses: `check_lines` and `stats_table` show them, `to_json` dumps them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from fedner.config import DataConfig, SyntheticData
from fedner.data.corpus import SPLITS, Corpus, Document
from fedner.data.labels import LabelContract, LabelSet, contract_from_config
from fedner.data.loading import Piece, corpus_name, open_pieces
from fedner.data.reading import ReadReport
from fedner.errors import InputError


@dataclass(frozen=True)
class Repairs:
    """Illegal tags of one kind: how many, and the line of the first."""

    count: int
    first_line: int


@dataclass(frozen=True)
class FileCheck:
    """Contents of one file (or one split of a data set); the counts end at the problem, if there is one."""

    path: str
    split: str
    format: str
    scheme: str
    scheme_detected: bool
    documents: int
    sentences: int
    words: int
    entities: Mapping[str, int]
    repairs: Mapping[str, Repairs]
    span_changes: Mapping[str, int]
    """What the span policy (data.misaligned, nested, discontinuous) did: kind -> number."""
    ignored: Mapping[str, int]
    """What the file holds beside entities, such as relations: kind -> number."""
    problem: str | None
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class CheckReport:
    """The verdict on a corpus. Problems stop a run; warnings are for the user to weigh."""

    name: str
    contract_hash: str
    types: tuple[str, ...]
    files: tuple[FileCheck, ...]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing that was read is wrong."""
        return not self.problems and all(file.problem is None for file in self.files)

    def to_json(self) -> dict[str, object]:
        """Return the report as plain dicts, lists, strings and numbers."""
        return {"ok": self.ok, **asdict(self)}


@dataclass(frozen=True)
class SplitStats:
    """Sizes of one split; `entities` has every type of the contract, in its order."""

    documents: int
    sentences: int
    words: int
    entities: Mapping[str, int]
    longest_sentence: int
    metadata: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Metadata key -> value -> documents, for keys with at most `MAX_VALUES` values: candidates for `partition.by`."""


@dataclass(frozen=True)
class CorpusStats:
    """Sizes of a corpus, split by split."""

    name: str
    contract_hash: str
    splits: Mapping[str, SplitStats]

    def to_json(self) -> dict[str, object]:
        """Return the statistics as plain dicts, lists, strings and numbers."""
        return asdict(self)


MAX_VALUES = 50


def check(config: DataConfig) -> CheckReport:
    """Read everything that `config` names, and report what is in it and what is wrong with it.

    Raises:
        LabelError: there is no usable contract to check against.
    """
    contract = contract_from_config(config.contract, config.contract_file)
    try:
        pieces = [] if isinstance(config, SyntheticData) else open_pieces(config, contract)
    except InputError as error:
        return _report(config, contract, [], [str(error)], [])
    files = [check_piece(piece, contract) for piece in pieces]
    warnings = missing_splits(files)
    train: Counter[str] = sum((Counter(file.entities) for file in files if file.split == "train"), Counter())
    if any(file.split == "train" and file.problem is None for file in files):
        absent = [name for name in contract.type_names if not train[name]]
        warnings += [f"no {name} in the training files; a model cannot learn it from them" for name in absent]
    return _report(config, contract, files, [], warnings)


def missing_splits(files: Sequence[FileCheck]) -> list[str]:
    """Return a warning for each split that has no file, where others have."""
    missing = [split for split in SPLITS if files and not any(file.split == split for file in files)]
    return [f"no {split} files; a run needs train, dev and test" for split in missing]


def stats(corpus: Corpus) -> CorpusStats:
    """Count documents, sentences, words and entities of each split."""
    return CorpusStats(
        corpus.name,
        corpus.contract.digest,
        {split: split_stats(corpus.split(split), corpus.contract) for split in SPLITS},
    )


def split_stats(documents: Iterable[Document], contract: LabelContract) -> SplitStats:
    """Count documents in one pass, keeping none of them."""
    entities: Counter[str] = Counter()
    values: dict[str, Counter[str]] = {}
    num_documents = num_sentences = num_words = longest = 0
    for document in documents:
        num_documents += 1
        for key, value in document.metadata.items():
            values.setdefault(key, Counter())[value] += 1
        for sentence in document.sentences:
            num_sentences += 1
            num_words += len(sentence.words)
            longest = max(longest, len(sentence.words))
            entities.update(tag[2:] for tag in sentence.tags if tag.startswith("B-"))
    by_type = {name: entities[name] for name in contract.type_names}
    metadata = {key: dict(sorted(counts.items())) for key, counts in values.items() if len(counts) <= MAX_VALUES}
    return SplitStats(num_documents, num_sentences, num_words, by_type, longest, metadata)


def check_lines(report: CheckReport) -> list[str]:
    """Return the report as lines of text: the verdict, then each file with what was found in it."""
    lines = [f"{report.name}: {'fit to use' if report.ok else 'not fit to use'}"]
    lines += [f"  problem: {problem}" for problem in report.problems]
    lines += [f"  warning: {warning}" for warning in report.warnings]
    for file in report.files:
        lines += ["", f"{file.path} ({file.split})", f"  {_contents(file)}"]
        lines += [f"  problem: {file.problem}"] if file.problem else []
        lines += [f"  warning: {warning}" for warning in file.warnings]
    return lines


def _contents(file: FileCheck) -> str:
    entities = ", ".join(f"{number:,} {name}" for name, number in file.entities.items())
    scheme = f"{file.format}, {file.scheme.upper()}{' (detected)' if file.scheme_detected else ''}"
    sizes = f"{file.documents:,} documents, {file.sentences:,} sentences, {file.words:,} words"
    return f"{scheme}; {sizes}; {entities}"


def check_piece(piece: Piece, contract: LabelSet) -> FileCheck:
    """Read a file to its end or its first error, and report what is in it and what is wrong with it."""
    problem = None
    try:
        for _ in piece.documents:
            pass
    except InputError as error:
        problem = str(error)
    report = piece.report
    return FileCheck(
        path=report.path,
        split=piece.split,
        format=report.format,
        scheme=report.scheme,
        scheme_detected=report.scheme_detected,
        documents=report.documents,
        sentences=report.sentences,
        words=report.words,
        entities={name: report.entities[name] for name in contract.type_names},
        repairs={
            kind: Repairs(count, report.first_repair_lines[kind]) for kind, count in sorted(report.repairs.items())
        },
        span_changes={kind.name: number for kind, number in sorted(report.span_changes.items())},
        ignored={kind: number for kind, number in sorted(report.ignored.items()) if number},
        problem=problem,
        warnings=tuple(_warnings(report)) if problem is None else (),
    )


def _warnings(report: ReadReport) -> Iterable[str]:
    if not report.document_marks:
        yield "no document marks: each sentence or row is a document of its own"
    if not report.entities:
        yield "no entity at all"
    for kind, count in sorted(report.repairs.items()):
        yield f"{count:,} illegal tags repaired ({kind}), the first in line {report.first_repair_lines[kind]}"
    if report.trimmed_spans:
        yield f"{report.trimmed_spans:,} spans had blanks at an end, which were left out"
    yield from report.lossy()
    if report.empty_documents:
        yield f"{report.empty_documents:,} documents without a sentence were left out"


def _report(
    config: DataConfig, contract: LabelContract, files: list[FileCheck], problems: list[str], warnings: list[str]
) -> CheckReport:
    return CheckReport(
        corpus_name(config), contract.digest, contract.type_names, tuple(files), tuple(problems), tuple(warnings)
    )
