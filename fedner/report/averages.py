"""Means over seeds, and over sites where each has a model, of scores that were each divided from their own counts."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from fedner.metrics import PRF
from fedner.records.results import RunResult
from fedner.report.study import ARMS, Interval, ModelIntervals, Runs, ScoreIntervals, Study
from fedner.report.wording import Bounds


@dataclass(frozen=True)
class Mean:
    """Mean precision, recall and F1 of several models on the same text; `support` is its number of gold entities.

    `spread` holds each model's F1, in the order of the models.
    """

    precision: float
    recall: float
    f1: float
    support: int
    spread: tuple[float, ...]


def arms_of(study: Study) -> tuple[str, ...]:
    """Return the arms that have at least one run."""
    return tuple(arm for arm in ARMS if runs_of(study, arm))


def per_site(study: Study, arm: str) -> Mapping[str, Runs] | None:
    """Return the runs of an arm that has a model per site, by site; None for an arm with one model for all."""
    return {"local": study.local, "fine_tuned": study.fine_tuned}.get(arm)


def runs_of(study: Study, arm: str) -> tuple[RunResult, ...]:
    """Return all runs of an arm; where it has a model per site, those of all sites."""
    return tuple(run for runs in _groups(study, arm) for run in runs.values())


def seeds_of(study: Study, arm: str) -> tuple[int, ...]:
    """Return the seeds for which an arm has a run."""
    return tuple(sorted({seed for runs in _groups(study, arm) for seed in runs}))


def sites_of(study: Study) -> tuple[str, ...]:
    """Return the sites that trained, `site-2` before `site-10`."""
    named = {*study.partition, *study.local, *study.fine_tuned}
    for arm in ARMS:
        for run in runs_of(study, arm):
            named.update(run.sites)
    return tuple(sorted(named - set(study.unseen), key=_natural_key))


def unseen_of(study: Study) -> tuple[str, ...]:
    """Return the sites that no arm trained on and that were scored."""
    scored = {site for arm in ARMS for run in runs_of(study, arm) for site in run.sites}
    return tuple(sorted(scored & set(study.unseen), key=_natural_key))


def on_test(study: Study, arm: str) -> Mean | None:
    """Return an arm's mean on the pooled test set, all types."""
    return mean_of(run.test.micro for run in runs_of(study, arm))


def macro_f1(study: Study, arm: str) -> float:
    """Return an arm's mean macro F1 on the pooled test set."""
    return fmean(run.test.macro.f1 for run in runs_of(study, arm))


def on_type(study: Study, arm: str, name: str) -> Mean | None:
    """Return an arm's mean for one entity type on the pooled test set."""
    return mean_of(run.test.types[name] for run in runs_of(study, arm) if name in run.test.types)


def on_site(study: Study, arm: str, site: str) -> Mean | None:
    """Return an arm's mean on one site's own test shard; where it has a model per site, that of the site's own.

    An unseen site has no model of its own; there the mean is over all sites' models.
    """
    runs = runs_of(study, arm)
    own = per_site(study, arm)
    if own is not None and site not in study.unseen:
        runs = tuple(own.get(site, {}).values())
    return mean_of(run.sites[site].micro for run in runs if site in run.sites)


def on_test_interval(study: Study, arm: str) -> Bounds:
    """Return the interval of what `on_test` returns."""
    if arm in study.summaries and study.summaries[arm].low is not None:
        return study.summaries[arm]
    return study.intervals[arm].test.micro if arm in study.intervals else Interval()


def type_interval(study: Study, arm: str, name: str) -> Interval:
    """Return the interval of what `on_type` returns."""
    return study.intervals[arm].test.types.get(name, Interval()) if arm in study.intervals else Interval()


def site_interval(study: Study, arm: str, site: str) -> Interval:
    """Return the interval of what `on_site` returns."""
    own: dict[str, Mapping[str, ModelIntervals]] = {
        "local": study.local_intervals, "fine_tuned": study.fine_tuned_intervals,
    }  # fmt: skip
    model = own[arm].get(site) if arm in own and site not in study.unseen else study.intervals.get(arm)
    return model.sites.get(site, ScoreIntervals()).micro if model else Interval()


def by_seed(study: Study, arm: str) -> dict[int, float]:
    """Return seed -> test micro F1; where there is a model per site, the mean over the sites that have the seed."""
    found: dict[int, list[float]] = {seed: [] for seed in seeds_of(study, arm)}
    for runs in _groups(study, arm):
        for seed, run in runs.items():
            found[seed].append(run.test.micro.f1)
    return {seed: fmean(scores) for seed, scores in found.items()}


def dev_curves(study: Study, arm: str) -> dict[int, dict[int, float]]:
    """Return seed -> round -> dev micro F1; with a model per site the mean over sites, at rounds that all reached."""
    trained = {seed: [runs[seed] for runs in _groups(study, arm) if seed in runs] for seed in seeds_of(study, arm)}
    return {seed: mean_curve([_curve(run) for run in runs]) for seed, runs in trained.items()}


def public_curves(study: Study) -> dict[int, dict[int, float]]:
    """Return seed -> round -> micro F1 of the federated model on the server's public dev set, where there is one."""
    curves = {
        seed: {entry.round: entry.public_dev.micro.f1 for entry in run.rounds if entry.public_dev}
        for seed, run in study.federated.items()
    }
    return {seed: curve for seed, curve in curves.items() if curve}


def mean_curve(curves: Sequence[dict[int, float]]) -> dict[int, float]:
    """Return the mean over curves at the rounds that all of them have."""
    shared = set.intersection(*(set(curve) for curve in curves)) if curves else set[int]()
    return {number: fmean(curve[number] for curve in curves) for number in sorted(shared)}


def mean_of(scores: Iterable[PRF]) -> Mean | None:
    """Return the mean of several models' scores on the same text, or None where there are none."""
    found = list(scores)
    if not found:
        return None
    spread = tuple(prf.f1 for prf in found)
    precision, recall = fmean(prf.precision for prf in found), fmean(prf.recall for prf in found)
    return Mean(precision, recall, fmean(spread), found[0].support, spread)


def _groups(study: Study, arm: str) -> Sequence[Runs]:
    """Return the runs of an arm, model by model."""
    own = per_site(study, arm)
    if own is not None:
        return list(own.values())
    return [study.centralized if arm == "centralized" else study.federated]


def _curve(run: RunResult) -> dict[int, float]:
    return {entry.round: entry.dev.micro.f1 for entry in run.rounds if entry.dev}


def _natural_key(name: str) -> list[tuple[bool, int, str]]:
    pieces = re.split(r"([0-9]+)", name)
    return [(piece.isdecimal(), int(piece) if piece.isdecimal() else 0, piece) for piece in pieces]
