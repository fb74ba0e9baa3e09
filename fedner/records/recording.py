"""Append events to the history, and report failures to the progress display."""

from fedner.audit.entries import Joined, TurnedAway
from fedner.audit.trail import Trail
from fedner.records.events import (
    Event,
    QuorumMissed,
    ReplyIgnored,
    ReplyRefused,
    SiteJoined,
    SiteLeft,
    SiteRefused,
    SiteSuspended,
)
from fedner.records.progress import Progress
from fedner.records.run_directory import RunDirectory


def report(run: RunDirectory, progress: Progress, event: Event) -> None:
    """Append an event to the history, and report a failure to the progress display."""
    run.record(event)
    match event:
        case ReplyRefused() | ReplyIgnored():
            what = "does not count" if isinstance(event, ReplyRefused) else "is ignored"
            progress.message(f"round {event.round}: {event.site} {what} ({event.phase}): {event.reason}")
        case QuorumMissed():
            progress.message(f"{event.reason}: {event.then}")
        case SiteSuspended():
            progress.message(f"{event.site} is not asked any more (federation.max_refusals): {event.reason}")
        case SiteLeft():
            progress.message(f"round {event.round}: {event.site} is not connected any more")
        case SiteRefused():
            progress.message(f"round {event.round}: {event.site or 'a node'} may not take part: {event.reason}")
        case _:
            pass


def report_with_trail(run: RunDirectory, progress: Progress, trail: Trail | None, event: Event) -> None:
    """Report an event as `report` does; admissions and refusals of sites go into the server's audit trail as well."""
    report(run, progress, event)
    match event:
        case SiteJoined() if trail is not None:
            trail.append(Joined(site=event.site, declines=event.declines))
        case SiteRefused() if trail is not None:
            trail.append(TurnedAway(site=event.site, reason=event.reason))
        case _:
            pass
