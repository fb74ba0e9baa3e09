"""A site's policy: the requests it answers, and the parts of its answers that may leave.

A policy narrows what a run asks and never widens it. Where a line is left out the default holds; every default lets an
ordinary run through and keeps back what such a run can do without.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from fedner.config.checks import require
from fedner.errors import ConfigError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))? )?(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)")
_MINUTES_A_DAY = 24 * 60


class Request(StrEnum):
    """Kinds of requests that a server sends to a site."""

    hello = "hello"
    train = "train"
    dev = "dev"
    test = "test"


class ScoresTold(StrEnum):
    """Which entity counts of a split leave the site."""

    all = "all"
    listed = "listed"
    supported = "supported"
    none = "none"


class Sizes(StrEnum):
    """How exactly a site reports how much text it has."""

    exact = "exact"
    rounded = "rounded"
    none = "none"


@dataclass(kw_only=True)
class ScoresPolicy:
    """What of a split's scores may leave: by entity type, counts of true and false positives and false negatives, and
    whether the split annotates it."""

    tell: ScoresTold = ScoresTold.all
    """`all` types; only the `listed` types; only those types that are `supported` by enough documents of the split; or
    `none`."""
    types: list[str] = field(default_factory=list)
    """Contract types whose counts may leave, with `tell: listed`."""
    min_documents: int = 5
    """Documents of the split that must hold a type for its counts to leave, with `tell: supported` (> 0)."""

    def __post_init__(self) -> None:
        require(self.min_documents > 0, "min_documents", "a number above 0", self.min_documents)
        fits = bool(self.types) == (self.tell is ScoresTold.listed)
        require(fits, "types", "contract types with `tell: listed`, and none with any other", self.types)


@dataclass(kw_only=True)
class AppsPolicy:
    """Which app bundles a site accepts requests from. No bundle's code is ever run."""

    names: list[str] = field(default_factory=lambda: ["fedner/fedner", "fedner/fedner-run"])
    """Publisher and name of the bundle, as in its pyproject.toml."""
    versions: list[str] = field(default_factory=list)
    """Versions of the bundle; empty allows all."""
    hashes: list[str] = field(default_factory=list)
    """SHA-256 of the whole bundle, 64 hexadecimal digits; empty allows all."""

    def __post_init__(self) -> None:
        for name in self.names:
            require(name.count("/") == 1, "names", "publisher/name", name)
        for value in self.hashes:
            require(_is_hash(value), "hashes", "64 hexadecimal digits in lower case", value)


@dataclass(frozen=True)
class Hours:
    """When work may begin: days of the week from 0, Monday, and minutes of the day; beyond midnight if end <= start."""

    days: frozenset[int]
    start: int
    end: int

    def hold(self, day: int, minute: int) -> bool:
        """Return whether a minute of a day of the week lies within."""
        if self.start < self.end:
            return day in self.days and self.start <= minute < self.end
        return (day in self.days and minute >= self.start) or ((day - 1) % 7 in self.days and minute < self.end)


@dataclass(kw_only=True)
class SitePolicy:
    """What the site allows."""

    requests: list[Request] = field(default_factory=lambda: list(Request))
    """Kinds of requests that are answered. Without `hello` the site takes part in nothing."""
    runs: list[str] = field(default_factory=list)
    """Names of runs, `*` standing for anything; empty allows all."""
    contracts: list[str] = field(default_factory=list)
    """Hashes of label contracts, 64 hexadecimal digits; empty allows the one the site holds, whichever that is."""
    apps: AppsPolicy = field(default_factory=AppsPolicy)
    """App bundles whose requests are accepted."""
    max_rounds: int | None = 500
    """Rounds of a run (> 0); null sets no limit."""
    max_epochs: float | None = 20.0
    """Passes over the shard a round (> 0); null sets no limit."""
    max_steps: int | None = 20_000
    """Optimizer steps a round, where a run counts those (> 0); null sets no limit."""
    min_sites: int = 1
    """Least federation.min_sites of a run, so that every round unites the updates of this many sites (> 0)."""
    tensors: list[str] = field(default_factory=lambda: ["*"])
    """Names of tensors that may leave, `*` standing for anything. A run that trains others is refused."""
    dev: ScoresPolicy = field(default_factory=ScoresPolicy)
    """Scores on the dev split, reported after every round."""
    test: ScoresPolicy = field(default_factory=ScoresPolicy)
    """Scores on the test split, reported once, at the end."""
    label_counts: bool = True
    """Whether the number of gold entities of a type may become known: the sum of true positives and false negatives."""
    document_counts: bool = False
    """Whether test counts may leave document by document; the server needs them for intervals only."""
    sentences: Sizes = Sizes.exact
    """How sizes of splits, and examples and words seen in training, are reported: `exact`, `rounded` up, or `none`."""
    sentences_step: int = 100
    """What sizes are rounded up to a multiple of, with `sentences: rounded` (> 1)."""
    fingerprints: bool = False
    """Whether `fedner data fingerprint` may make a file of signatures of the site's documents, by which documents that
    other sites have too are found; docs/security.md describes what it reveals."""
    hours: list[str] = field(default_factory=list)
    """When training and scoring may begin, in the site's local time, as in `mon-fri 20:00-06:00`, `sun 00:00-24:00` or
    `22:00-05:00`; a window that ends before it begins continues after midnight. Empty allows all times."""
    privacy_floor: float | None = None
    """Largest epsilon of differential privacy that the site accepts. Not supported yet: only null is accepted."""

    def __post_init__(self) -> None:
        for name in ("max_rounds", "max_epochs", "max_steps"):
            value = getattr(self, name)
            require(value is None or value > 0, name, "a number above 0 or null", value)
        require(self.min_sites > 0, "min_sites", "a number above 0", self.min_sites)
        require(self.sentences_step > 1, "sentences_step", "a number above 1", self.sentences_step)
        require(bool(self.tensors), "tensors", "at least one name; `*` for all", self.tensors)
        for value in self.contracts:
            require(_is_hash(value), "contracts", "64 hexadecimal digits in lower case", value)
        unsupported = "null: this version trains without differential privacy and cannot keep such a promise"
        require(self.privacy_floor is None, "privacy_floor", unsupported, self.privacy_floor)
        reported = [name for name in ("dev", "test") if getattr(self, name).tell is not ScoresTold.none]
        wanted = f"true where {' and '.join(reported)} scores leave (or `tell: none` there)"
        require(self.label_counts or not reported, "label_counts", wanted, self.label_counts)
        for window in self.hours:
            parse_hours(window)

    def scores(self, split: str) -> ScoresPolicy:
        """Return what holds for dev or test."""
        return self.dev if split == "dev" else self.test

    def tells(self, split: Request) -> bool:
        """Return whether any score of a split can leave."""
        return split in self.requests and self.scores(split).tell is not ScoresTold.none


def parse_hours(text: str) -> Hours:
    """Read a window such as `mon-fri 20:00-06:00`.

    Raises:
        ConfigError: it is not one.
    """
    wanted = "days and hours as in 'mon-fri 20:00-06:00', 'sat 08:00-12:00' or '22:00-05:00' (in quotes)"
    found = _HOURS.fullmatch(text.strip().lower())
    if found is None:
        raise ConfigError(f"hours: expected {wanted}, got {text!r}")
    start, end = (_minutes(found[name]) for name in ("start", "end"))
    first, last = found["first"] or DAYS[0], found["last"] or found["first"] or DAYS[-1]
    known = first in DAYS and last in DAYS and start is not None and end is not None
    if not known or start in (_MINUTES_A_DAY, end):
        raise ConfigError(f"hours: expected {wanted}, got {text!r}")
    assert start is not None
    assert end is not None
    at = DAYS.index(first)
    length = (DAYS.index(last) - at) % 7 + 1
    return Hours(frozenset((at + day) % 7 for day in range(length)), start, end)


def _minutes(clock: str) -> int | None:
    hour, minute = int(clock[:2]), int(clock[3:])
    total = 60 * hour + minute
    return total if minute < 60 and total <= _MINUTES_A_DAY else None


def _is_hash(value: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{64}", value) is not None
