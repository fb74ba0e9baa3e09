"""A site's audit trail."""

from pathlib import Path

from fedner.audit.trail import Trail
from fedner.config.site import SiteConfig


def trail_of(site: SiteConfig) -> Trail:
    """Return a site's audit trail."""
    audit = site.audit
    return Trail(Path(audit.path), site.site, None if audit.anchor is None else Path(audit.anchor))
