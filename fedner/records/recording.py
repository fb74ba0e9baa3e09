"""An event goes into the history; what went wrong is also told, in a sentence, to whoever watches."""

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


def tell(run: RunDirectory, progress: Progress, event: Event) -> None:
    """Put an event into the history; what went wrong is also told to whoever watches."""
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


def tell_on_trail(run: RunDirectory, progress: Progress, trail: Trail | None, event: Event) -> None:
    """Tell an event as `tell` does; who joined and who was turned away goes into the server's audit trail as well."""
    tell(run, progress, event)
    match event:
        case SiteJoined() if trail is not None:
            trail.append(Joined(site=event.site, declines=event.declines))
        case SiteRefused() if trail is not None:
            trail.append(TurnedAway(site=event.site, reason=event.reason))
        case _:
            pass
