"""A site's audit trail."""

from pathlib import Path

from fedner.audit.trail import Trail
from fedner.config.site import SiteConfig


def trail_of(site: SiteConfig) -> Trail:
    """Return a site's audit trail."""
    told = site.audit
    return Trail(Path(told.path), site.site, None if told.anchor is None else Path(told.anchor))
