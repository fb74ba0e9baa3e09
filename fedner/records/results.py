"""Results of runs and studies: the typed form of metrics.json (schema 1), written by arms, read by the report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from fedner.errors import RunDirectoryError
from fedner.files import read_json, replacing, write_json
from fedner.metrics import DocumentCounts, Score
from fedner.refusals import Refusal, refusal_from_json
from fedner.tensors import State

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """One round of one run; for arms without sites the fields about sites stay empty.

    `seconds` is wall time, `bytes_up` and `bytes_down` are sums over the sites of tensors sent and received, `weights`
    the weight of each site that counted in a mean-type aggregation, `refused` says why others did not, `withheld` names
    the dev scores that sites withhold; `dev` pools those of the others. `update_norm` and `update_steps` are the median
    Euclidean norm and optimizer steps of the updates that counted.
    """

    round: int
    dev: Score | None
    seconds: float
    bytes_up: int = 0
    bytes_down: int = 0
    sites: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, Refusal] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    train_loss: float | None = None
    public_dev: Score | None = None
    update_norm: float | None = None
    update_steps: float | None = None


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One training of one configuration with one seed.

    `test` is the pooled test set, `sites` each site's own test shard (unseen sites included), `support` says for each
    type which sites contributed to the pooled score and with how many entities, `withheld` names the test
    scores that sites withhold, `examples_seen` counts sentences, `state_digest` identifies the final weights bit for
    bit. A run that went on from another one's weights has their digest in `started_from`, counts its own sentences
    only, and calls the round before training round 0.
    """

    test: Score
    sites: Mapping[str, Score]
    rounds: tuple[RoundRecord, ...]
    best_round: int
    examples_seen: int
    seconds: float
    startup_seconds: float
    lr: float
    state_digest: str
    started_from: str | None = None
    withheld: Mapping[str, str] = field(default_factory=dict)
    support: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def run_to_json(result: RunResult) -> dict[str, Any]:
    """Return RUN of metrics.json."""
    return asdict(result) | {
        "test": result.test.to_json(),
        "sites": {site: score.to_json() for site, score in result.sites.items()},
        "withheld": dict(result.withheld),
        "rounds": [round_to_json(entry) for entry in result.rounds],
    }


def round_to_json(entry: RoundRecord) -> dict[str, Any]:
    """Return one of a RUN's rounds."""
    return asdict(entry) | {
        "dev": entry.dev.to_json() if entry.dev else None,
        "public_dev": entry.public_dev.to_json() if entry.public_dev else None,
        "sites": list(entry.sites),
        "weights": dict(entry.weights),
        "refused": {site: refusal.to_json() for site, refusal in entry.refused.items()},
        "withheld": dict(entry.withheld),
    }


def run_from_json(plain: Mapping[str, Any]) -> RunResult:
    """Read RUN of metrics.json; the inverse of `run_to_json`."""
    plain = _with_new_names(plain)
    rounds = tuple(round_from_json(entry) for entry in plain["rounds"])
    sites = {site: Score.from_json(score) for site, score in plain["sites"].items()}
    return RunResult(**{**plain, "test": Score.from_json(plain["test"]), "sites": sites, "rounds": rounds})


def round_from_json(plain: Mapping[str, Any]) -> RoundRecord:
    """Read one of a RUN's rounds."""
    plain = _with_new_names(plain)
    return RoundRecord(
        **{
            **plain,
            "dev": Score.from_json(plain["dev"]) if plain["dev"] else None,
            "public_dev": Score.from_json(plain["public_dev"]) if plain["public_dev"] else None,
            "sites": tuple(plain["sites"]),
            "refused": {site: refusal_from_json(refusal) for site, refusal in plain["refused"].items()},
        }
    )


def _with_new_names(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return a RUN or round with the key `withheld`, which was `untold` before version 0.2."""
    return {"withheld" if key == "untold" else key: value for key, value in plain.items()}


def best_round(rounds: Sequence[RoundRecord]) -> int:
    """Return the number of the round with the best dev micro F1, the first of equals.

    Where no round has dev scores, since every site withholds them, it is the last one that changed the state.
    """
    if not any(entry.dev for entry in rounds):
        return next((entry.round for entry in reversed(rounds) if entry.sites), rounds[0].round)
    return max(rounds, key=lambda entry: entry.dev.micro.f1 if entry.dev else -1.0).round


@dataclass(frozen=True, kw_only=True)
class RunOutcome:
    """Outcome of a finished run: its result, the best round's state, and test counts by site and document.

    Each entry of `test_counts` has shape (documents, types, 3); it is the raw material of every interval, and empty
    where a site does not send counts by document.
    """

    result: RunResult
    test_counts: Mapping[str, DocumentCounts]
    best_state: State


@dataclass(frozen=True)
class StoredRun:
    """A finished run as it lies on disk; the weights themselves are not kept."""

    result: RunResult
    test_counts: Mapping[str, DocumentCounts]


def save_run(directory: Path, outcome: RunOutcome) -> None:
    """Write a finished run; result.json comes last and marks it whole.

    Raises:
        RunDirectoryError: it cannot be written.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with replacing(directory / "test_counts.safetensors") as draft:
            save_file(dict(outcome.test_counts), draft)
        write_json(directory / "result.json", run_to_json(outcome.result))
    except (OSError, SafetensorError) as error:
        raise RunDirectoryError(
            f"{directory}: cannot write the result ({error}); mend that and resume the run"
        ) from error


def load_run(directory: Path) -> StoredRun | None:
    """Return the finished run in this folder, or None where there is none yet.

    Raises:
        RunDirectoryError: its files are damaged.
    """
    if not (directory / "result.json").is_file():
        return None
    try:
        counts = load_file(directory / "test_counts.safetensors")
        return StoredRun(run_from_json(read_json(directory / "result.json")), counts)
    except (OSError, SafetensorError, KeyError, TypeError) as error:
        raise RunDirectoryError(f"{directory}: damaged ({error}); delete this folder to redo the run") from error
