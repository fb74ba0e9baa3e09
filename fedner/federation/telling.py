"""An event goes into the history; what went wrong is also told, in a sentence, to whoever watches."""

from fedner.federation.events import (
    Event,
    QuorumMissed,
    ReplyIgnored,
    ReplyRefused,
    SiteLeft,
    SiteRefused,
    SiteSuspended,
)
from fedner.federation.runs import RunDirectory
from fedner.progress import Progress


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
