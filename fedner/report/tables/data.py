"""Tables of what went in: splits, partition, tuning."""

from collections.abc import Mapping

from fedner.data.partition import SiteStats, SplitStats
from fedner.report import wording
from fedner.report.averages import sites_of, unseen_of
from fedner.report.study import ARMS, Study
from fedner.report.tables.grid import Cell, Column, Row, Table, columns, row


def splits_table(study: Study) -> Table:
    """Return the size of the pooled splits."""
    rows = tuple(
        row(name, *_size_cells(size), wording.number(sum(size.entities.values())))
        for name, size in study.splits.items()
    )
    return Table("splits", "All sites together", columns("Split", "Documents", "Sentences", "Words", "Entities"), rows)


def encoding_table(study: Study) -> Table:
    """Return what the encoder sees of each split, and what it cannot see."""
    titles = (
        "Split",
        "Word pieces",
        "Windows",
        "Sentences cut",
        "Words cut short",
        "Words without a piece",
        "of these empty",
    )
    rows = tuple(
        row(
            name,
            *map(
                wording.number,
                (
                    stats.pieces,
                    stats.windows,
                    stats.cut_sentences,
                    stats.truncated_words,
                    stats.unknown_words,
                    stats.empty_words,
                ),
            ),
        )
        for name, stats in study.encoding.items()
    )
    notes = (
        "Sentences cut: longer than a window; cut between words into windows that overlap, so nothing is lost.",
        "Words cut short: longer than a window; only their beginning is seen. Words without a piece: unknown to the "
        "tokenizer from their first piece on; the encoder sees only that a word is there.",
    )
    return Table("encoding", "What the encoder sees", columns(*titles), rows, notes)


def partition_table(study: Study) -> Table:
    """Return what each site holds: training text by type, and how much development and test text."""
    names = tuple(site for site in (*sites_of(study), *unseen_of(study)) if site in study.partition)
    partly = any(study.partition[name].unannotated.get("train") for name in names)
    note = f"{wording.ABSENT}: the type is not annotated in the site's training text."
    types = tuple(Column(name) for name in study.types)
    titles = columns("Site", "Documents", "Sentences", "Words", "Divergence")
    last = columns("Dev sentences", "Test sentences", text=())
    return Table(
        "partition",
        "Training text of each site, entities by type",
        (*titles, *types, *last),
        tuple(_partition_row(study.types, name, study.partition[name]) for name in names),
        (
            "Divergence: Jensen-Shannon divergence, in bits, of the site's training entity types from those of all "
            "sites together; 0 is the same mix, 1 nothing in common.",
            *([note] if partly else []),
        ),
    )


def tuning_table(study: Study) -> Table:
    """Return dev F1 by arm and learning rate; the one chosen is marked."""
    rates = sorted({rate for scores in study.tuning.values() for rate in scores}, key=float)
    return Table(
        "tuning",
        "Dev micro F1 by learning rate, first seed",
        (Column("Arm", numeric=False), *(Column(rate) for rate in rates)),
        tuple(_tuning_row(unit, rates, scores) for unit, scores in study.tuning.items() if scores),
        ("Each arm, and each site alone, trains with its own best learning rate, chosen on dev text it may see.",),
    )


def _partition_row(types: tuple[str, ...], name: str, site: SiteStats) -> Row:
    train = site.train
    bits, hidden = site.divergence_bits, site.unannotated.get("train", ())
    return row(
        name,
        *_size_cells(train),
        wording.ABSENT if bits is None else f"{bits:.3f}",
        *(wording.ABSENT if entity in hidden else wording.number(train.entities.get(entity, 0)) for entity in types),
        wording.number(site.dev.sentences),
        wording.number(site.test.sentences),
    )


def _size_cells(size: SplitStats) -> tuple[str, str, str]:
    return wording.number(size.documents), wording.number(size.sentences), wording.number(size.words)


def _tuning_row(unit: str, rates: list[str], scores: Mapping[str, float]) -> Row:
    """Return a row for an arm, or for one site of the local arm, written `local/site-0`."""
    arm, _, site = unit.partition("/")
    best = max(scores.values())
    # Of equals the first one tried is taken.
    chosen = next(rate for rate, f1 in scores.items() if f1 == best)
    cells = [Cell(wording.score(scores.get(rate)), "chosen" if rate == chosen else "") for rate in rates]
    return row(Cell(wording.ARM_NAMES.get(arm, arm), site or arm), *cells, tone=arm if arm in ARMS else "")
