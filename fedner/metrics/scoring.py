"""Counts -> precision, recall and F1: the one place where counts are divided.

Divisions 0/0 give 0, as seqeval's `zero_division=0`. The macro average runs over the contract's types that occur, that
is have gold or predicted entities, which is seqeval's own choice: a type that a site never uses neither helps nor
hurts. Where no type occurs all averages are 0.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TypedDict

import numpy as np

from fedner.data.labels import SCHEME, LabelContract
from fedner.errors import LabelError, RunDirectoryError
from fedner.metrics.counting import Counts


class PrfJson(TypedDict):
    """PRF of metrics.json."""

    precision: float
    recall: float
    f1: float
    tp: int
    fp: int
    fn: int
    support: int


class MacroJson(TypedDict):
    """The macro average in SCORE of metrics.json."""

    precision: float
    recall: float
    f1: float


class ScoreJson(TypedDict):
    """SCORE of metrics.json."""

    micro: PrfJson
    macro: MacroJson
    types: dict[str, PrfJson]


@dataclass(frozen=True)
class PRF:
    """Precision, recall and F1 in [0, 1], and the counts behind them; `support` is the number of gold entities."""

    precision: float
    recall: float
    f1: float
    tp: int
    fp: int
    fn: int
    support: int

    @classmethod
    def of(cls, tp: int, fp: int, fn: int) -> "PRF":
        """Divide the counts of one type, or of all types together."""
        return cls(
            precision=_ratio(tp, tp + fp),
            recall=_ratio(tp, tp + fn),
            f1=_ratio(2 * tp, 2 * tp + fp + fn),
            tp=tp,
            fp=fp,
            fn=fn,
            support=tp + fn,
        )

    def to_json(self) -> PrfJson:
        """Return PRF of metrics.json."""
        return PrfJson(
            precision=self.precision,
            recall=self.recall,
            f1=self.f1,
            tp=self.tp,
            fp=self.fp,
            fn=self.fn,
            support=self.support,
        )

    @classmethod
    def from_json(cls, plain: PrfJson) -> "PRF":
        """Read PRF of metrics.json; the inverse of `to_json`."""
        return cls(
            precision=float(plain["precision"]),
            recall=float(plain["recall"]),
            f1=float(plain["f1"]),
            tp=int(plain["tp"]),
            fp=int(plain["fp"]),
            fn=int(plain["fn"]),
            support=int(plain["support"]),
        )


@dataclass(frozen=True)
class Macro:
    """Unweighted means over the types that occur, in [0, 1]."""

    precision: float
    recall: float
    f1: float

    def to_json(self) -> MacroJson:
        """Return the macro average of metrics.json."""
        return MacroJson(precision=self.precision, recall=self.recall, f1=self.f1)

    @classmethod
    def from_json(cls, plain: MacroJson) -> "Macro":
        """Read the macro average of metrics.json; the inverse of `to_json`."""
        return cls(float(plain["precision"]), float(plain["recall"]), float(plain["f1"]))


@dataclass(frozen=True)
class Score:
    """One set of counts, divided: over all entities, over types, and per type of the contract, in its order."""

    counts: Counts
    micro: PRF
    macro: Macro
    types: Mapping[str, PRF]

    def to_json(self) -> ScoreJson:
        """Return SCORE of metrics.json."""
        types = {name: prf.to_json() for name, prf in self.types.items()}
        return ScoreJson(micro=self.micro.to_json(), macro=self.macro.to_json(), types=types)

    @classmethod
    def from_json(cls, plain: ScoreJson) -> "Score":
        """Read SCORE of metrics.json; the inverse of `to_json`.

        Keys beyond the schema's are passed over, since later versions may add some.

        Raises:
            RunDirectoryError: a key is missing or a value is not a number.
        """
        try:
            types = {name: PRF.from_json(prf) for name, prf in plain["types"].items()}
            tp, fp, fn = (tuple(getattr(prf, side) for prf in types.values()) for side in ("tp", "fp", "fn"))
            return cls(Counts(tp, fp, fn), PRF.from_json(plain["micro"]), Macro.from_json(plain["macro"]), types)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise RunDirectoryError(
                "score: expected micro, macro and types as in metrics.json schema 1, got something else "
                f"({type(error).__name__}: {error}); was the file written by another version of fedner?"
            ) from error


def score(counts: Counts, contract: LabelContract) -> Score:
    """Divide counts, pooled or of one text.

    Raises:
        LabelError: the counts are not of the contract's number of types.
    """
    names = contract.type_names
    if len(counts.tp) != len(names):
        raise LabelError(f"scoring: contract '{contract.name}' has {len(names)} types, the counts {len(counts.tp)}")
    types = {name: PRF.of(*each) for name, *each in zip(names, counts.tp, counts.fp, counts.fn, strict=True)}
    return Score(counts, PRF.of(sum(counts.tp), sum(counts.fp), sum(counts.fn)), _macro(types), types)


def contributions(scores: Mapping[str, Score], unannotated: Mapping[str, Collection[str]]) -> dict[str, dict[str, int]]:
    """Return type -> site -> its gold entities: who contributed to a score pooled over sites, and with what support.

    Args:
        scores: site -> score on its text.
        unannotated: site -> the types that it did not annotate, and hence contributed nothing to.
    """
    names = dict.fromkeys(name for each in scores.values() for name in each.types)
    return {
        name: {
            site: each.types[name].support
            for site, each in sorted(scores.items())
            if name not in unannotated.get(site, ())
        }
        for name in names
    }


def signature(contract: LabelContract, *, documents: int | None = None, samples: int = 0, seed: int = 0) -> str:
    """Return in one line how a score was made, to stand beside it.

    After sacrebleu's signatures (Post 2018, aclanthology.org/W18-6319).

    Args:
        documents: documents in the text that was scored.
        samples: bootstrap resamples behind the intervals; 0 where there are none.
        seed: seed of the bootstrap.
    """
    parts = [
        "entity-f1",
        f"scheme:{SCHEME}",
        "mode:strict",
        "macro:occurring",
        "zero-division:0",
        f"contract:{contract.name}-v{contract.version}-{contract.digest[:12]}",
    ]
    if documents is not None:
        parts.append(f"documents:{documents}")
    if samples:
        parts.append(f"bootstrap:documents-{samples}-seed-{seed}")
    return "|".join([*parts, f"fedner:{_fedner_version()}", f"numpy:{np.__version__}"])


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _macro(types: Mapping[str, PRF]) -> Macro:
    occurring = [prf for prf in types.values() if prf.tp + prf.fp + prf.fn > 0]
    size = max(len(occurring), 1)
    return Macro(
        precision=sum(prf.precision for prf in occurring) / size,
        recall=sum(prf.recall for prf in occurring) / size,
        f1=sum(prf.f1 for prf in occurring) / size,
    )


def _fedner_version() -> str:
    try:
        return version("fedner")
    except PackageNotFoundError:
        return "source"
