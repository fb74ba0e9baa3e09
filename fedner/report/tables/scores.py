"""Tables of scores: per arm, per entity type, per site."""

from collections.abc import Iterator

from fedner.metrics import Difference
from fedner.report import wording
from fedner.report.averages import (
    Mean,
    arms_of,
    by_seed,
    macro_f1,
    on_site,
    on_test,
    on_test_interval,
    on_type,
    per_site,
    runs_of,
    seeds_of,
    site_interval,
    sites_of,
    type_interval,
    unseen_of,
)
from fedner.report.sentences import Verdict, judge
from fedner.report.study import Interval, Study
from fedner.report.tables.grid import Cell, Column, Row, Table, columns, row

_ALL_MODELS = {"local": "mean of all own models", "fine_tuned": "mean of all fine-tuned models"}
VERDICTS = {Verdict.gain: "gained", Verdict.unclear: "unclear", Verdict.loss: "lost", Verdict.none: ""}


def arms_table(study: Study) -> Table:
    """Return each arm's scores on the pooled test set, with intervals and, of several seeds, the range over them."""
    ranged = any(len(seeds_of(study, arm)) > 1 for arm in arms_of(study))
    titles = ["Arm", "Micro F1", f"{100 * study.confidence:g}% interval"]
    titles += ["Range over seeds"] if ranged else []
    return Table(
        "arms",
        "Pooled test set, mean over seeds" if ranged else "Pooled test set, one seed",
        columns(*titles, "Precision", "Recall", "Macro F1", "Seeds"),
        tuple(_arm_row(study, arm, ranged) for arm in arms_of(study)),
        tuple(_arm_notes(study)),
    )


def types_table(study: Study) -> Table:
    """Return F1 per entity type and arm on the pooled test set."""
    arms = arms_of(study)
    return Table(
        "types",
        "F1 per entity type, pooled test set",
        (*columns("Entity type", "In test text"), *_arm_columns(arms)),
        tuple(_type_row(study, arms, name) for name in study.types),
        tuple(_type_notes(study)),
    )


def sites_table(study: Study) -> Table:
    """Return F1 per site and arm on the site's own test shard, and whether joining paid there."""
    arms = tuple(arm for arm in ("local", "federated", "fine_tuned", "centralized") if arm in arms_of(study))
    compared = bool(study.per_site)
    last = columns("Federated minus own", "Joining", text=(1,)) if compared else ()
    last += columns("Fine-tuned minus federated", text=()) if study.per_site_fine_tuned else ()
    sites = (*sites_of(study), *unseen_of(study))
    return Table(
        "sites",
        "F1 on each site's own test text",
        (*columns("Site", "In test text"), *_arm_columns(arms, "Own model"), *last),
        tuple(found for site in sites for found in _site_row(study, arms, site, compared)),
        tuple(_site_notes(study, compared)),
    )


def interval_cell(study: Study, arm: str) -> Cell:
    """Return an arm's interval on the pooled test set; where the local mean has none, how far its models lie apart."""
    bounds = on_test_interval(study, arm)
    own = per_site(study, arm)
    if own is not None and bounds.low is None and len(own) > 1:
        spread = [run.test.micro.f1 for run in runs_of(study, arm)]
        return Cell(wording.ABSENT, f"models {wording.score(min(spread))} to {wording.score(max(spread))}")
    return Cell(wording.interval(bounds))


def _arm_row(study: Study, arm: str, ranged: bool) -> Row:
    mean = on_test(study, arm)
    assert mean is not None, arm
    seeds = len(seeds_of(study, arm))
    scores = by_seed(study, arm).values()
    spread = wording.ONE_SEED if seeds == 1 else wording.interval(Interval(min(scores), max(scores)))
    own = per_site(study, arm)
    sites = wording.counted(len(sites_of(study) if own is None else own), "site")
    who = {
        "centralized": arm,
        "federated": f"{arm}, {sites}",
        "local": f"{arm}, mean of {sites}",
        "fine_tuned": f"{wording.FINE_TUNED}, mean of {sites}",
    }[arm]
    return row(
        Cell(wording.ARM_NAMES[arm], who),
        wording.score(mean.f1),
        interval_cell(study, arm),
        *([spread] if ranged else []),
        wording.score(mean.precision),
        wording.score(mean.recall),
        wording.score(macro_f1(study, arm)),
        str(seeds),
        tone=arm,
    )


def _arm_notes(study: Study) -> Iterator[str]:
    yield (
        "Strict scoring: an entity counts only with its exact boundaries and type. Precision: share of what was marked "
        "that is right; recall: share of what is there that was marked; F1: their harmonic mean. Micro: over all "
        "entities; macro: mean over types."
    )
    if any(on_test_interval(study, arm).low is not None for arm in arms_of(study)):
        drawn = (
            "test documents"
            if all(len(seeds_of(study, arm)) == 1 for arm in arms_of(study))
            else "test documents and seeds"
        )
        yield f"Interval: bootstrap over {drawn}. Few seeds tell little about what other seeds would give."
    if study.gap_closed is not None:
        yield "Gap closed: (federated − each site alone) / (pooled − each site alone), on micro F1."
    if study.local:
        yield "Each site alone: every site's model on the pooled test set, mean over sites."
    if study.fine_tuned:
        yield (
            "Fine-tuned: every site trains the federated model further on its own text, here on the pooled test set, "
            "mean over sites. It is made for the site's own text, where the table site by site shows it, and it saw "
            "more passes over the text than the other arms: no like-for-like comparison."
        )


def _type_row(study: Study, arms: tuple[str, ...], name: str) -> Row:
    means = [on_type(study, arm, name) for arm in arms]
    support = next((mean.support for mean in means if mean), 0)
    bounds = [type_interval(study, arm, name) for arm in arms]
    cells = [_score_cell(mean, interval) for mean, interval in zip(means, bounds, strict=True)]
    return row(name, wording.number(support), *cells)


def _site_row(study: Study, arms: tuple[str, ...], site: str, compared: bool) -> Iterator[Row]:
    means = [on_site(study, arm, site) for arm in arms]
    if not any(means):
        return
    support = next((mean.support for mean in means if mean), 0)
    unseen = site in study.unseen
    cells = [
        _score_cell(
            mean,
            site_interval(study, arm, site),
            _ALL_MODELS.get(arm, "") if unseen else "",
        )
        for arm, mean in zip(arms, means, strict=True)
    ]
    # Synthetic text bears no claim, not even site by site.
    verdict = Verdict.none if study.synthetic else judge(study.per_site.get(site))
    said = VERDICTS[verdict] or ("no claim" if study.synthetic else "no interval")
    joined = study.per_site.get(site)
    last = (_difference_cell(joined), Cell(said if joined else wording.ABSENT)) if compared else ()
    last += (_difference_cell(study.per_site_fine_tuned.get(site)),) if study.per_site_fine_tuned else ()
    name = Cell(site, "took part in no training" if unseen else "")
    yield row(name, wording.number(support), *cells, *last, tone=f"verdict-{verdict}" if compared else "")


def _difference_cell(difference: Difference | None) -> Cell:
    if difference is None:
        return Cell(wording.ABSENT)
    bounds = wording.signed_interval(difference)
    detail = "" if bounds == wording.ABSENT else f"{bounds}, {wording.p_value(difference.p_value)}"
    return Cell(wording.signed(difference.delta), detail)


def _score_cell(mean: Mean | None, interval: wording.Bounds, who: str = "") -> Cell:
    if mean is None:
        return Cell(wording.ABSENT)
    if mean.support == 0:
        return Cell(wording.ABSENT, "none in test text")
    bounds = wording.interval(interval)
    return Cell(wording.score(mean.f1), who or ("" if bounds == wording.ABSENT else bounds))


def _site_notes(study: Study, compared: bool) -> Iterator[str]:
    if study.intervals:
        yield "Small: interval over the site's test text."
    if compared:
        yield (
            "Federated minus own: the site's own model on the same documents, paired bootstrap. Gained or lost: the "
            f"{100 * study.confidence:g}% interval lies wholly above or below zero; unclear: it includes zero. "
            "Each site is judged alone; with "
            "many sites some will seem to gain or lose by chance."
        )
    if study.per_site_fine_tuned:
        yield (
            "Fine-tuned minus federated: what the site still gains by training the federated model further on its own "
            "text, paired bootstrap. The round, and whether to fine-tune at all, was chosen on the site's dev text; "
            "where the federated model was best there, both are the same model. The fine-tuned model saw more passes "
            "over the site's text than any other here."
        )


def _type_notes(study: Study) -> Iterator[str]:
    if study.intervals:
        yield "Small: interval."
    for arm in ("local", "fine_tuned"):
        if per_site(study, arm) and arm not in study.intervals:
            yield f"{wording.ARM_NAMES[arm]}: mean over the sites' models, which has no interval here."
    yield from _contributions(study)


def _contributions(study: Study) -> Iterator[str]:
    """Yield which sites the score of a type comes from, where some did not annotate it in their test text."""
    support = next((run.support for arm in arms_of(study) for run in runs_of(study, arm)), {})
    for name, sites in support.items():
        if len(sites) < len(sites_of(study)):
            told = [f"{site} ({wording.number(entities)})" for site, entities in sites.items()]
            where = f"scored at {wording.listed(told)} only; at the other sites" if told else "not scored;"
            yield f"{name}: {where} it is not annotated."


def _arm_columns(arms: tuple[str, ...], local: str = wording.ARM_NAMES["local"]) -> tuple[Column, ...]:
    names = wording.ARM_NAMES | {"local": local}
    return tuple(Column(names[arm], arm=arm) for arm in arms)
