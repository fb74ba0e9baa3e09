"""A run trains and scores on one text: a site whose files changed since the run began is noticed.

The digest of the text that a run began with lies in the site's memory of that run, so that a change made while the
site's process was down is noticed as well. A change is written into the audit trail, once. The site then refuses the
run's requests until the files are what they were, the run ends, or the site file says `accept_changed_text: true`.
"""

import logging

from fedner.audit.entries import TextChanged
from fedner.config.site import SiteConfig
from fedner.errors import TextChangedError
from fedner.site.memory import SiteMemory
from fedner.site.trail import trail_of

_LOG = logging.getLogger(__name__)
_NOTE = "text"


def require_text_of_run(digest: str, run: str, memory: SiteMemory, site: SiteConfig) -> None:
    """Hold a site's text to the one that the run began with.

    Args:
        digest: of the text as it is now.
        run: the run's name.
        memory: the site's, of that run; a run that it does not know begins with this text.
        site: the site file, which says whether a change is accepted.

    Raises:
        TextChangedError: it is another text, and the site does not accept that.
        AuditError: the change cannot be written down.
        StateError: the site's memory cannot be read or written.
    """
    noted = memory.noted(_NOTE)
    if noted is None:
        memory.note(_NOTE, {"began": digest, "seen": digest})
        return
    began, seen, accepted = noted["began"], noted["seen"], site.accept_changed_text
    if digest != seen or (accepted and digest != began):
        outcome = ("accepted" if accepted else "refused") if digest != began else "the first one again"
        _LOG.warning("run '%s' began with text %s, found %s: %s", run, began[:12], digest[:12], outcome)
        trail_of(site).append(TextChanged(run=run, began=began, digest=digest, accepted=accepted))
        memory.note(_NOTE, {"began": digest if accepted else began, "seen": digest})
    if digest != began and not accepted:
        raise TextChangedError(
            "the site's text changed since the run began; the site takes part again in the next run, or when its site "
            "file says accept_changed_text: true"
        )
