"""The status in words and tables; the same in the terminal and on the page."""

from datetime import datetime

from fedner.deployment.monitoring.run_state import FINISHED, RUNNING
from fedner.deployment.monitoring.status import (
    Doing,
    Phase,
    RoundSummary,
    RunProgress,
    RunView,
    SiteConnection,
    SiteInRun,
    Status,
)
from fedner.report import wording
from fedner.report.tables.grid import Cell, Table, columns, row

_WORKING = {Phase.train: "trains", Phase.dev: "scores dev text", Phase.test: "scores test text"}
_ANSWERED = {Phase.train: "has trained", Phase.dev: "has scored dev text", Phase.test: "has scored test text"}


def headline(progress: RunProgress) -> str:
    """Return how a run stands, in a sentence."""
    if progress.status == FINISHED:
        return f"finished after {wording.counted(len(progress.rounds), 'round')}"
    if progress.status == RUNNING:
        return _at(progress)
    return f"{progress.status} ({_at(progress)})" if progress.planned else progress.status


def scores(progress: RunProgress) -> str:
    """Return the pooled scores so far: dev F1 of the last round, of the best, and at the end test F1."""
    last = progress.rounds[-1].dev_f1 if progress.rounds else None
    said = [f"dev F1 {wording.score(last)}"] if last is not None else []
    said += (
        [f"best {wording.score(progress.best_f1)} in round {progress.best_round}"]
        if progress.best_f1 is not None
        else []
    )
    said += [f"test F1 {wording.score(progress.test_f1)}"] if progress.test_f1 is not None else []
    return ", ".join(said)


def round_words(entry: RoundSummary) -> str:
    """Return what a whole round brought."""
    scored = f"dev F1 {wording.score(entry.dev_f1)}" if entry.dev_f1 is not None else "no dev F1"
    loss = f", loss {entry.train_loss:.4f}" if entry.train_loss is not None else ""
    counted = wording.counted(entry.sites, "site")
    return f"round {entry.round}: {scored}{loss}, {counted} counted, {wording.duration(entry.seconds)}"


def time_left(progress: RunProgress) -> str:
    """Return the estimate of the time that is left; nothing where there is none."""
    return "" if progress.seconds_left is None else f"{wording.duration(progress.seconds_left)} left"


def connected(site: SiteConnection) -> str:
    """Return whether a site is connected."""
    return "online" if site.online else "offline"


def last_seen(site: SiteConnection, moment: str) -> str:
    """Return when a site was last heard of, as seen from a moment; both as the server's clock says."""
    if site.seen is None:
        return "never seen"
    seen = datetime.fromisoformat(site.seen)
    ago = max(0.0, (datetime.fromisoformat(moment) - seen).total_seconds())
    return f"seen {wording.duration(round(ago))} ago" if ago < 3600 else f"seen {seen:%Y-%m-%d %H:%M} UTC"


def at_work(site: SiteInRun) -> str:
    """Return what a site is at in a run."""
    where = f" in round {site.round}" if site.round and site.phase is not Phase.test else ""
    match site.doing:
        case Doing.working:
            return _WORKING.get(site.phase, "is called") + where
        case Doing.answered:
            return _ANSWERED.get(site.phase, "has answered") + where
        case Doing.refused:
            return f"refused ({site.phase}){where}"
        case Doing.waiting:
            return "waits"
        case Doing.suspended | Doing.away:
            return str(site.doing)


def sites_table(status: Status) -> Table:
    """Return the sites, with what each is at in the newest run."""
    run = status.runs[0] if status.runs else None
    working = {site.name: site for site in run.sites} if run else {}
    # A site that was revoked is registered no more, but may have been in the run.
    gone = tuple(SiteConnection(name=name, online=False, seen=None) for name in working)
    known = {site.name: site for site in (*gone, *status.sites)}
    rows = [
        row(
            name,
            Cell(connected(known[name]), last_seen(known[name], status.moment)),
            at_work(working[name]) if name in working else wording.ABSENT,
            _or_absent(working[name].counted if name in working else None),
            str(working[name].num_refusals) if name in working else wording.ABSENT,
        )
        for name in sorted(known)
    ]
    hidden = status.registered - len(status.sites)
    others = f"{wording.counted(hidden, 'other site')} not shown" if hidden > 0 else ""
    titles = ("Site", "Connection", "In the run", "Last round that counted", "Refusals")
    caption = f"{status.online} of {wording.counted(status.registered, 'site')} online"
    return Table("sites", caption, columns(*titles, text=(0, 1, 2)), tuple(rows), (others,) if others else ())


def rounds_table(progress: RunProgress) -> Table:
    """Return the whole rounds of a run, the newest first."""
    rows = [
        row(
            str(entry.round),
            Cell(wording.score(entry.dev_f1), "best so far" if entry.round == progress.best_round else ""),
            wording.score(entry.train_loss),
            str(entry.sites),
            wording.duration(entry.seconds),
        )
        for entry in reversed(progress.rounds)
    ]
    titles = ("Round", "Dev F1", "Training loss", "Sites that counted", "Time")
    return Table("rounds", "Whole rounds, the newest first", columns(*titles), tuple(rows))


def refusals_table(run: RunView) -> Table:
    """Return the newest refusals of each site, and why sites are suspended."""
    rows = [
        *(row(site.name, "", "suspended", site.suspended) for site in run.sites if site.suspended),
        *(
            row(site.name, str(refusal.round), refusal.phase, refusal.reason)
            for site in run.sites
            for refusal in reversed(site.refusals)
        ),
    ]
    caption = "Answers that do not count, the newest of each site"
    return Table("refusals", caption, columns("Site", "Round", "Phase", "Reason", text=(0, 2, 3)), tuple(rows))


def runs_table(status: Status) -> Table:
    """Return the runs before the newest."""
    rows = [
        row(
            run.progress.name,
            run.progress.status,
            f"{len(run.progress.rounds)} of {_or_absent(run.progress.planned)}",
            wording.score(run.progress.best_f1),
            wording.score(run.progress.test_f1),
        )
        for run in status.runs[1:]
    ]
    titles = ("Run", "Status", "Rounds", "Best dev F1", "Test F1")
    return Table("runs", "Runs before it", columns(*titles, text=(0, 1)), tuple(rows))


def _at(progress: RunProgress) -> str:
    where = f"round {progress.round} of {progress.planned}"
    match progress.phase:
        case Phase.hello:
            return f"{where} is done, the next is to begin" if progress.round else "calls the sites together"
        case Phase.train:
            return f"{where}: training, {progress.answered} of {wording.counted(progress.asked, 'site')} answered"
        case Phase.dev:
            return f"{where}: dev text is scored"
        case Phase.test:
            return "final test"
        case Phase.done:
            return "tested"


def _or_absent(number: int | None) -> str:
    return wording.ABSENT if number is None else str(number)
