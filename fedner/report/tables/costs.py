"""Tables of what it took: time, traffic, refused replies, every single run."""

from collections import defaultdict
from collections.abc import Iterator

from fedner.records.results import RunResult
from fedner.report import wording
from fedner.report.averages import arms_of, per_site, runs_of, seeds_of
from fedner.report.study import Study
from fedner.report.tables.grid import Cell, Row, Table, columns, row

_WHO = {
    "local": "all sites, one after another",
    "fine_tuned": "on top of federated; all sites, one after another",
}


def costs_table(study: Study) -> Table:
    """Return what one training of each arm costs, mean over seeds; with a model per site, all sites together."""
    titles = (
        "Arm",
        "Time",
        "Start-up",
        "Sentences seen",
        "Sentences per second",
        "Sent by sites",
        "Sent to sites",
    )
    return Table(
        "costs",
        "One training, mean over seeds",
        columns(*titles),
        tuple(_cost_row(study, arm) for arm in arms_of(study)),
        tuple(_cost_notes(study)),
    )


def refusals_table(study: Study) -> Table:
    """Return the replies of sites that did not count, and why."""
    rounds: dict[tuple[str, str], list[str]] = defaultdict(list)
    for seed, run in study.federated.items():
        for entry in run.rounds:
            for site, refusal in entry.refused.items():
                rounds[site, refusal.shown].append(
                    f"{entry.round}{f' (seed {seed})' if len(study.federated) > 1 else ''}"
                )
    found = (
        row(site, reason, str(len(when)), wording.listed(when, 8)) for (site, reason), when in sorted(rounds.items())
    )
    titles = columns("Site", "Reason", "Replies", "Rounds", text=(0, 1, 3))
    return Table("refusals", "Replies that did not count", titles, tuple(found))


def runs_table(study: Study) -> Table:
    """Return every run on its own."""
    titles = ("Arm", "Site", "Seed", "Learning rate", "Rounds", "Best round", "Test micro F1", "Time", "Final weights")
    return Table(
        "runs",
        "One row per training",
        columns(*titles, text=(0, 1, 8)),
        tuple(_run_rows(study)),
        tuple(_run_notes(study)),
    )


def _run_notes(study: Study) -> Iterator[str]:
    yield "Final weights: start of their fingerprint; the same configuration and seed give the same weights on CPU."
    if study.fine_tuned:
        yield "Fine-tuned: best round 0 is the federated model as it came, which the site kept."


def _cost_row(study: Study, arm: str) -> Row:
    runs, num_seeds = runs_of(study, arm), len(seeds_of(study, arm))
    seconds, startup, examples, up, down = (
        sum(values) / num_seeds
        for values in zip(
            *((run.seconds, run.startup_seconds, run.examples_seen, *_traffic(run)) for run in runs), strict=True
        )
    )
    return row(
        Cell(wording.ARM_NAMES[arm], _WHO.get(arm, "")),
        wording.duration(seconds),
        wording.duration(startup),
        wording.number(round(examples)),
        wording.number(round(examples / (seconds - startup))) if seconds > startup else wording.ABSENT,
        wording.size(up) if arm == "federated" else wording.ABSENT,
        wording.size(down) if arm == "federated" else wording.ABSENT,
        tone=arm,
    )


def _traffic(run: RunResult) -> tuple[int, int]:
    return sum(entry.bytes_up for entry in run.rounds), sum(entry.bytes_down for entry in run.rounds)


def _cost_notes(study: Study) -> Iterator[str]:
    yield "Time: wall time of one training with its evaluations and start-up. Sent: tensors of all sites and rounds."
    if study.fine_tuned and study.federated:
        yield f"Fine-tuned: {_extra_passes(study)}"
    pace = {arm: _seconds_per_example(runs_of(study, arm)) for arm in ("federated", "centralized")}
    if pace["federated"] and pace["centralized"]:
        times = pace["federated"] / pace["centralized"]
        yield f"Per sentence seen, federated training took {times:.2f} times as long as pooled training."


def _extra_passes(study: Study) -> str:
    """Return in plain words how much more text the fine-tuned arm saw, rounds that were not kept included."""
    extra, first = (
        sum(run.examples_seen for run in runs_of(study, arm)) / len(seeds_of(study, arm))
        for arm in ("fine_tuned", "federated")
    )
    share = f", {wording.percent(extra / first)} more than the federated arm" if first else ""
    return (
        f"its row comes on top of the federation that it starts from: {wording.number(round(extra))} sentences{share}. "
        "The other arms got no such extra, so a lead of this arm is no proof that fine-tuning beats more rounds."
    )


def _seconds_per_example(runs: tuple[RunResult, ...]) -> float:
    """Return wall seconds per sentence seen, start-up excluded; 0 where nothing ran."""
    examples = sum(run.examples_seen for run in runs)
    return sum(run.seconds - run.startup_seconds for run in runs) / examples if examples else 0.0


def _run_rows(study: Study) -> Iterator[Row]:
    for arm in arms_of(study):
        models = per_site(study, arm)
        if models is None:
            models = {wording.ABSENT: study.centralized if arm == "centralized" else study.federated}
        for site, runs in models.items():
            for seed, run in runs.items():
                yield _run_row(arm, site, seed, run)


def _run_row(arm: str, site: str, seed: int, run: RunResult) -> Row:
    return row(
        wording.ARM_NAMES[arm],
        site,
        str(seed),
        f"{run.lr:g}",
        str(run.rounds[-1].round),
        str(run.best_round),
        wording.score(run.test.micro.f1),
        wording.duration(run.seconds),
        run.state_digest[:12],
    )
