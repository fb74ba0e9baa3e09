"""The result of a study in plain words, no stronger than the numbers: did joining pay, for whom, how sure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from fedner.metrics import Difference, GapClosed
from fedner.report import wording
from fedner.report.averages import Mean, arms_of, by_seed, on_test, on_test_interval, seeds_of, sites_of, unseen_of
from fedner.report.study import Study


class Verdict(StrEnum):
    """The conclusion that the interval of a difference supports; `none` where there is no interval."""

    gain = "gain"
    unclear = "unclear"
    loss = "loss"
    none = "none"


@dataclass(frozen=True)
class Statement:
    """The headline, a verdict that outputs may show as a badge, and the sentences that support it."""

    headline: str
    verdict: Verdict
    support: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([self.headline, *self.support])


def judge(difference: Difference | None) -> Verdict:
    """Return whether the interval lies above zero, below zero, or around it."""
    if difference is None or difference.low is None or difference.high is None:
        return Verdict.none
    if difference.low > 0:
        return Verdict.gain
    return Verdict.loss if difference.high < 0 else Verdict.unclear


def summarise(study: Study) -> Statement:
    """Return the study in plain words."""
    federated, local = on_test(study, "federated"), on_test(study, "local")
    difference = study.differences.get("federated-local")
    verdict = judge(difference)
    if study.synthetic:
        headline = "Synthetic text: this shows that the machinery works and makes no claim about quality."
    elif not study.complete:
        headline = f"Preliminary: {_missing(study)}, so there is no verdict yet."
    elif federated and local:
        headline = _joining(study, federated, local)
    else:
        headline = _single_arm(study)
    judged = study.complete and not study.synthetic and federated is not None and local is not None
    return Statement(headline, verdict if judged else Verdict.none, tuple(_support(study, judged)))


def _support(study: Study, judged: bool) -> Iterator[str]:
    if study.synthetic and not study.complete:
        yield f"It is preliminary too: {_missing(study)}."
    if not judged:
        yield from _bare_numbers(study)
    if judged:
        yield from _for_whom(study)
        yield from _fine_tuning(study)
    yield from _found(study)
    if not study.synthetic and study.complete:
        yield from _pooling(study)
    yield from _withheld(study)
    yield from _clean(study)
    yield from _how_sure(study)


def _withheld(study: Study) -> Iterator[str]:
    """Yield whose scores are missing from the pooled ones, since their policies keep them."""
    runs = study.federated.values()
    dev = {site for run in runs for entry in run.rounds for site in entry.withheld}
    test = {site for run in runs for site in run.withheld}
    for split, sites in (("dev", dev), ("test", test)):
        if sites:
            verb = "keeps" if len(sites) == 1 else "keep"
            named = wording.listed(sorted(sites))
            yield f"{named} {verb} {split} scores back, all or those of some types; pooled {split} scores are without."


def _clean(study: Study) -> Iterator[str]:
    """Yield whether the test set holds what was trained on."""
    leakage = study.leakage
    if leakage is None:
        return
    before = f" {wording.number(leakage.left_out)} were left out before." if leakage.left_out else ""
    total = wording.counted(leakage.documents, "document")
    if leakage.unchecked is not None:
        yield f"Whether test documents lie in training text was not checked: {leakage.unchecked}.{before}"
    elif not leakage.leaked:
        yield f"The test set is clean: of its {total} none lies in any site's training text, exactly or nearly.{before}"
    else:
        verb = "lies" if leakage.leaked == 1 else "lie"
        yield (
            f"The test set is not clean: of its {total} {wording.number(leakage.leaked)} {verb} in a site's training "
            "text, exactly or nearly, and scores with them are too good; data.exclude_documents leaves them "
            f"out.{before}"
        )


def _joining(study: Study, federated: Mean, local: Mean) -> str:
    difference = study.differences.get("federated-local") or Difference(federated.f1 - local.f1, None, None, None)
    return (
        f"{_opening(study, judge(difference))}: on the pooled test set the federated model scored F1 "
        f"{wording.score(federated.f1)}, a site's own model {wording.score(local.f1)} on average "
        f"({_difference(study, difference)})."
    )


def _opening(study: Study, verdict: Verdict) -> str:
    """Return what the pooled test set says, held back where a site's own text does not say it as well."""
    sites = {judge(difference) for difference in study.per_site.values()}
    if verdict is Verdict.gain and Verdict.loss in sites:
        return "Joining paid overall, but not for every site"
    if verdict is Verdict.gain and Verdict.unclear in sites:
        return "Joining paid overall, but not clearly for every site"
    return {
        Verdict.gain: "Joining paid",
        Verdict.unclear: "It is unclear whether joining paid",
        Verdict.loss: "Joining did not pay",
        Verdict.none: "No verdict, for want of an interval",
    }[verdict]


def _single_arm(study: Study) -> str:
    federated = on_test(study, "federated")
    if federated is None:
        return "There is no federated run here, so nothing can be said about joining."
    interval = on_test_interval(study, "federated")
    bounds = f" ({_level(study)} {wording.interval(interval)})" if interval.low is not None else ""
    sites = wording.counted(len(sites_of(study)), "site")
    return (
        f"The federation of {sites} scored F1 {wording.score(federated.f1)}{bounds} on the pooled test set. "
        "Whether joining paid is not known; fedner compare would train each site alone as well."
    )


def _for_whom(study: Study) -> Iterator[str]:
    groups: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for site, difference in study.per_site.items():
        groups[judge(difference)].append(site)
    told = len(study.per_site) - len(groups[Verdict.none])
    if not told:
        return
    openings = {Verdict.gain: "gained", Verdict.unclear: "unclear", Verdict.loss: "lost"}
    pieces = [_who(groups[key], told, word) for key, word in openings.items() if groups[key]]
    if not groups[Verdict.loss]:
        pieces.append("none clearly lost")
    yield f"For whom, each site on its own test text against its own model: {'; '.join(pieces)}."


def _fine_tuning(study: Study) -> Iterator[str]:
    told = {site: judge(found) for site, found in study.per_site_fine_tuned.items()}
    if not told or Verdict.none in told.values():
        return
    groups = {key: [site for site, verdict in told.items() if verdict is key] for key in Verdict}
    openings = {Verdict.gain: "gained", Verdict.unclear: "unclear", Verdict.loss: "lost"}
    pieces = [_who(groups[key], len(told), word) for key, word in openings.items() if groups[key]]
    yield (
        "Fine-tuning the federated model at each site, each on its own test text against the federated model: "
        f"{'; '.join(pieces)}. Those models saw more passes over their site's text than any other here."
    )


def _who(sites: list[str], told: int, word: str) -> str:
    if len(sites) == told > 1:
        return f"all {told} {word}"
    return f"{len(sites)} of {told} {word} ({wording.listed(sites)})"


def _found(study: Study) -> Iterator[str]:
    federated, local = on_test(study, "federated"), on_test(study, "local")
    if federated is None:
        return
    sentence = (
        f"Of every 100 entities in the test text the federated model found {_hundred(federated.recall)} exactly; "
        f"of every 100 it marked, {_hundred(federated.precision)} were right"
    )
    if local is not None:
        sentence += f" (a site's own model: {_hundred(local.recall)} and {_hundred(local.precision)})"
    yield f"{sentence}."


def _pooling(study: Study) -> Iterator[str]:
    federated, local, pooled = (on_test(study, arm) for arm in ("federated", "local", "centralized"))
    if federated is None or pooled is None:
        return
    sentence = f"Pooling all text in one place reached {wording.score(pooled.f1)}"
    difference = study.differences.get("federated-centralized")
    if difference is not None:
        sentence += f"; federated minus pooled is {_signed(study, difference)}{_PLAIN[judge(difference)]}"
    yield f"{sentence}."
    if local is not None and pooled.f1 <= local.f1:
        yield "It was no better than training alone, so there is no gap for a federation to close."
    elif study.gap_closed is not None and study.gap_closed.mean is not None:
        yield f"Federating closed {_gap(study, study.gap_closed.mean, study.gap_closed)}."


def _gap(study: Study, share: float, gap: GapClosed) -> str:
    closed = f"{wording.percent(share)} of the gap between training alone and pooling"
    if gap.low is not None:
        return f"{closed} ({_level(study)} {wording.percent_interval(gap)})"
    if gap.undefined_share > 0:
        without = wording.percent(gap.undefined_share)
        return f"{closed} (no interval: in {without} of the resamples there was no gap to close)"
    return f"{closed} ({wording.ONE_SEED if len(study.federated) == 1 else 'no interval'})"


def _how_sure(study: Study) -> Iterator[str]:
    seeds = [len(seeds_of(study, arm)) for arm in arms_of(study)]
    if seeds and min(seeds) == 1:
        yield "One seed: how much another training would change these numbers is not known."
    elif seeds and study.differences and not study.synthetic:
        yield "Intervals of differences say what other test documents could change, not what other trainings could."
        yield from _every_seed(study)
    if unseen := unseen_of(study):
        verb = "is" if len(unseen) == 1 else "are"
        yield f"{wording.listed(unseen)} took part in no training and {verb} scored apart."


def _every_seed(study: Study) -> Iterator[str]:
    """Yield in how many trainings the federated model was ahead, which intervals over documents cannot show."""
    federated, local = by_seed(study, "federated"), by_seed(study, "local")
    shared = sorted(set(federated) & set(local))
    if len(shared) > 1:
        ahead = sum(federated[seed] > local[seed] for seed in shared)
        yield f"Trained with {len(shared)} seeds, the federated model was ahead of training alone in {ahead} of them."


def _bare_numbers(study: Study) -> Iterator[str]:
    scores = {arm: on_test(study, arm) for arm in ("federated", "local", "centralized")}
    found = [f"{wording.ARM_NAMES[arm].lower()} {wording.score(mean.f1)}" for arm, mean in scores.items() if mean]
    if found and (study.synthetic or not study.complete):
        yield f"Test F1 {'so far' if not study.complete else 'here'}: {', '.join(found)}."


def _missing(study: Study) -> str:
    if not study.missing:
        return "runs are missing"
    verb = "is" if len(study.missing) == 1 else "are"
    return f"{wording.counted(len(study.missing), 'run')} {verb} missing"


def _difference(study: Study, difference: Difference) -> str:
    if difference.low is None:
        return f"difference {wording.signed(difference.delta)}, no interval"
    return f"difference {_signed(study, difference)}"


def _signed(study: Study, difference: Difference) -> str:
    if difference.low is None:
        return wording.signed(difference.delta)
    return f"{wording.signed(difference.delta)}, {_level(study)} {wording.signed_interval(difference)}"


def _level(study: Study) -> str:
    return f"{100 * study.confidence:g}% interval"


def _hundred(share: float) -> int:
    """Return how many of a hundred; all of them only where it is all."""
    return round(100 * share) if share == 1 else min(99, round(100 * share))


_PLAIN: Mapping[Verdict, str] = {
    Verdict.gain: ": federating was better",
    Verdict.loss: ": pooling was better",
    Verdict.unclear: ": no clear difference",
    Verdict.none: "",
}
