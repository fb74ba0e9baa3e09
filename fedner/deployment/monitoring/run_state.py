"""Derives the state of a run from the events of its history, taken one by one in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fedner.deployment.monitoring.status import Doing, Phase, Refusal, RoundSummary, RunProgress, RunView, SiteInRun
from fedner.records.events import (
    Event,
    QuorumMissed,
    ReplyAccepted,
    ReplyRefused,
    RoundAggregated,
    RoundEvaluated,
    RoundStarted,
    RunFinished,
    RunResumed,
    RunStarted,
    SiteJoined,
    SiteLeft,
    SiteRefused,
    SiteSuspended,
    read_event,
)
from fedner.records.progress import seconds_left

REFUSALS_SHOWN = 5
"""Refusals of a site that are shown, the newest."""
RUNNING = "running"
FINISHED = "finished"
NOT_RUNNING = "not running"


@dataclass
class _Site:
    """A site so far; `declines` are the splits whose scores it is not asked for."""

    doing: Doing = Doing.waiting
    phase: Phase = Phase.hello
    round: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    suspended: SiteSuspended | None = None
    declines: tuple[str, ...] = ()
    test_f1: float | None = None

    @property
    def barred(self) -> bool:
        """Whether it takes no part: it is absent, or was refused in the handshake."""
        return self.doing is Doing.away or (self.doing is Doing.refused and self.phase is Phase.hello)

    def at(self, doing: Doing, phase: Phase, round_number: int) -> None:
        """Note what the site is at."""
        self.doing, self.phase, self.round = doing, phase, round_number

    def refuse(self, phase: str, event: ReplyRefused | SiteRefused) -> None:
        """Note an answer that does not count."""
        self.refusals.append(Refusal(round=event.round, phase=phase, reason=event.reason))


class History:
    """The state of a run, as its history records it.

    Args:
        name: the run's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._phase, self._round = Phase.hello, 0
        self._planned: int | None = None
        self._began: str | None = None
        self._since: datetime | None = None  # when the running round began
        self._rounds: dict[int, RoundEvaluated] = {}
        self._sites: dict[str, _Site] = {}
        self._notes: list[str] = []
        self._test_f1: float | None = None
        self._unread = 0

    def take(self, line: Mapping[str, Any]) -> None:
        """Take the next line of history.jsonl; one that only another version knows is counted and passed over."""
        self._began = self._began or str(line["time"])
        event = read_event(line)
        if event is None:
            self._unread += 1
            return
        if isinstance(event, RunStarted | RunResumed | RoundStarted | RoundEvaluated):
            self._planned = event.rounds
            again = isinstance(event, RoundStarted) and self._phase is Phase.train  # for want of a quorum
            self._since = self._since if again else datetime.fromisoformat(line["time"])
        self._take_round(event)
        self._take_site(event)

    def view(self, finished: bool, process: str | None, details: str, now: datetime) -> RunView:
        """Return how the run stands.

        Args:
            finished: whether its result is there.
            process: what Flower says of the process that runs it; None if there is none.
            details: why that ended.
            now: the present moment, for the time that is left.
        """
        status = FINISHED if finished else process or NOT_RUNNING
        there = [site for site in self._sites.values() if not site.barred]
        busy = self._phase is not Phase.hello
        asked = [site for site in there if busy and site.phase is self._phase and site.doing is not Doing.waiting]
        last = self._rounds[max(self._rounds)] if self._rounds else None
        progress = RunProgress(
            name=self._name,
            status=status,
            phase=self._phase,
            round=self._round,
            planned=self._planned,
            began=self._began,
            rounds=tuple(_summary(self._rounds[number]) for number in sorted(self._rounds)),
            best_round=last.best_round if last else None,
            best_f1=last.best_f1 if last else None,
            test_f1=self._test_f1,
            seconds_left=self._seconds_left(now) if status == RUNNING else None,
            sites=len(there),
            asked=len(asked),
            answered=sum(site.doing is Doing.answered for site in asked),
        )
        notes = [*self._notes]
        if details and not finished:
            notes.append(f"{status}: {details}")
        if self._unread:
            notes.append(f"another version of fedner wrote {self._unread} lines of its history; they are left out here")
        return RunView(progress=progress, sites=tuple(map(self._site_view, sorted(self._sites))), notes=tuple(notes))

    def _seconds_left(self, now: datetime) -> float | None:
        if self._planned is None or self._since is None or self._phase in (Phase.test, Phase.done):
            return None
        running = self._round + 1 if self._round in self._rounds else self._round
        before = [entry.seconds for entry in self._rounds.values()]
        return seconds_left(before, running, self._planned, (now - self._since).total_seconds())

    def _take_round(self, event: Event) -> None:
        """Note what concerns the run as a whole."""
        match event:
            case RunResumed():
                self._rounds = {number: entry for number, entry in self._rounds.items() if number <= event.round}
                self._phase, self._round, self._test_f1 = Phase.hello, event.round, None
                self._notes.clear()
            case RoundStarted():
                self._phase, self._round = Phase.train, event.round
            case RoundAggregated():
                self._phase = Phase.dev
            case QuorumMissed():
                self._notes.append(f"{event.reason}: {event.then}")
            case RoundEvaluated():
                self._rounds[event.round] = event
                self._phase, self._round = Phase.test if event.round == event.rounds else Phase.hello, event.round
            case RunFinished():
                self._phase, self._test_f1 = Phase.done, event.test_f1
            case SiteRefused(site=""):
                self._notes.append(f"a node may not take part: {event.reason}")
            case _:
                pass

    def _take_site(self, event: Event) -> None:
        """Note what concerns single sites."""
        match event:
            case SiteJoined():
                site = self._site(event.site)
                site.declines = event.declines
                site.at(Doing.waiting, Phase.hello, self._round)
            case SiteLeft():
                self._site(event.site).doing = Doing.away
            case SiteRefused() if event.site:
                if event.site not in self._sites:  # else another node speaks for it
                    self._site(event.site).at(Doing.refused, Phase.hello, event.round)
                self._site(event.site).refuse(Phase.hello, event)
            case SiteSuspended():
                self._site(event.site).suspended = event
            case ReplyAccepted():
                self._site(event.site).at(Doing.answered, Phase.train, event.round)
            case ReplyRefused():
                self._site(event.site).refuse(event.phase, event)
                self._site(event.site).at(Doing.refused, Phase(event.phase), self._round)
            case RunResumed() | RoundStarted() | RoundAggregated() | RoundEvaluated() | RunFinished():
                self._move_all(event)
            case _:
                pass

    def _move_all(self, event: RunResumed | RoundStarted | RoundAggregated | RoundEvaluated | RunFinished) -> None:
        """Note what all sites are at, now that a phase begins or ends."""
        for name, site in self._sites.items():
            if site.barred and not isinstance(event, RunResumed):
                continue
            match event:
                case RunResumed():
                    site.doing = Doing.away
                    if site.suspended is not None and site.suspended.round > event.round + 1:
                        site.suspended = None
                case RoundStarted():
                    site.at(Doing.working if name in event.sites else Doing.waiting, Phase.train, event.round)
                case RoundAggregated():
                    self._ask(site, Phase.dev)
                case RoundEvaluated() | RunFinished():
                    site.doing = Doing.answered if site.doing is Doing.working else site.doing
                    if isinstance(event, RunFinished):
                        site.test_f1 = event.test_sites.get(name)
                    elif event.round == event.rounds:
                        self._ask(site, Phase.test)

    def _ask(self, site: _Site, phase: Phase) -> None:
        site.at(Doing.waiting if phase in site.declines else Doing.working, phase, self._round)

    def _site(self, name: str) -> _Site:
        return self._sites.setdefault(name, _Site())

    def _site_view(self, name: str) -> SiteInRun:
        site = self._sites[name]
        idle = site.doing in (Doing.waiting, Doing.refused)
        return SiteInRun(
            name=name,
            doing=Doing.suspended if site.suspended is not None and idle else site.doing,
            phase=site.phase,
            round=site.round,
            counted=max((number for number, entry in self._rounds.items() if name in entry.weights), default=None),
            num_refusals=len(site.refusals),
            refusals=tuple(site.refusals[-REFUSALS_SHOWN:]),
            suspended=site.suspended.reason if site.suspended is not None else None,
            test_f1=site.test_f1,
        )


def _summary(event: RoundEvaluated) -> RoundSummary:
    return RoundSummary(
        round=event.round,
        dev_f1=event.dev_f1,
        train_loss=event.train_loss,
        seconds=event.seconds,
        sites=len(event.weights),
    )
