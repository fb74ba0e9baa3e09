"""Events -> named numbers, one set a round: what TensorBoard, MLflow and W&B draw, under the same names everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedner.files import safe_name
from fedner.records.events import Event, ReplyAccepted, RoundEvaluated, RoundStarted, RunFinished


@dataclass(frozen=True)
class Measured:
    """Numbers at a step, which is a round; `last` where they are the final test's."""

    step: int
    values: Mapping[str, float]
    last: bool = False


@dataclass
class Measures:
    """Gathers a round's replies until the round is complete, so that a retried round is not sent twice."""

    _replies: dict[str, ReplyAccepted] = field(default_factory=dict[str, ReplyAccepted])

    def of(self, event: Event) -> Measured | None:
        """Take an event; return numbers if it completes a round or the run."""
        match event:
            case RoundStarted():
                self._replies.clear()
            case ReplyAccepted():
                self._replies[event.site] = event
            case RoundEvaluated():
                return Measured(event.round, _of_round(event) | _of_sites(self._replies))
            case RunFinished():
                return Measured(event.rounds, _of_test(event), last=True)
            case _:
                pass
        return None


def _of_round(event: RoundEvaluated) -> dict[str, float]:
    scored = {
        "dev/f1": event.dev_f1,
        "dev/precision": event.dev_precision,
        "dev/recall": event.dev_recall,
        "dev/best_f1": event.best_f1,
        "public_dev/f1": event.public_dev_f1,
        "train/loss": event.train_loss,
    }
    counted = {
        "round/seconds": event.seconds,
        "round/bytes_up": event.bytes_up,
        "round/bytes_down": event.bytes_down,
        "round/sites_counted": len(event.weights),
        "round/sites_missing": len(event.missing),
        "round/sites_refused": len(event.refused),
    }
    types = {f"dev_f1/{safe_name(name)}": f1 for name, f1 in event.dev_types.items()}
    return {name: value for name, value in scored.items() if value is not None} | counted | types


def _of_sites(replies: Mapping[str, ReplyAccepted]) -> dict[str, float]:
    found: dict[str, float] = {}
    for site, reply in sorted(replies.items()):
        for name in ("loss", "examples", "weight", "norm", "steps", "seconds"):
            found[f"site_{name}/{safe_name(site)}"] = getattr(reply, name)
    return found


def _of_test(event: RunFinished) -> dict[str, float]:
    pooled = {
        "test/f1": event.test_f1,
        "test/precision": event.test_precision,
        "test/recall": event.test_recall,
        "test/best_round": event.best_round,
    }
    return pooled | {f"test_f1/{safe_name(site)}": f1 for site, f1 in event.test_sites.items()}
