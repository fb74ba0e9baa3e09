"""Made-up studies whose numbers hang together: every score is divided from counts listed here."""

import copy
from collections.abc import Mapping
from statistics import fmean
from typing import Any

import pytest

from fedner.data.labels import EntityType, LabelContract
from fedner.metrics import Counts, pool, score

TYPES = ("PER", "LOC", "ORG")
SITES = ("site-0", "site-1", "site-2")
SEEDS = (0, 1)
ROUNDS = 6
CONTRACT = LabelContract("news", 1, tuple(EntityType(name) for name in TYPES))
GOLD = {"site-0": (300, 120, 90), "site-1": (60, 240, 110), "site-2": (40, 30, 60)}
"""Gold entities of each site's test shard, by type."""
SKILL = {"centralized": 0.86, "federated": 0.84, "local": 0.76}
"""Share of the gold entities that each arm finds."""


def counts(site: str, skill: float, seed: int = 0) -> Counts:
    """Return the counts of a model that finds about `skill` of a site's entities and errs as often."""
    found = tuple(round(gold * (skill - 0.02 * index)) - seed for index, gold in enumerate(GOLD[site]))
    missed = tuple(gold - hit for gold, hit in zip(GOLD[site], found, strict=True))
    return Counts(found, missed, missed)


NOT_FINITE = {"phase": "train", "origin": "server", "code": "diverged", "sentence": "an update is not finite"}


def run(skill: Mapping[str, float], seed: int = 0, sites: bool = True, examples: int = 30_000) -> dict[str, Any]:
    """Return RUN of metrics.json of a model with the given skill on each site."""
    by_site = {site: counts(site, skill[site], seed) for site in SITES}
    rounds = [
        {
            "round": number,
            "dev": score(pool(counts(site, skill[site] - 0.3 / number, seed) for site in SITES), CONTRACT).to_json(),
            "seconds": 12.5,
            "bytes_up": 3 * 90_000_000 if sites else 0,
            "bytes_down": 3 * 90_000_000 if sites else 0,
            "sites": list(SITES) if sites else [],
            "refused": {"site-2": NOT_FINITE} if sites and number == 2 else {},
            "train_loss": 1 / number,
            "public_dev": None,
        }
        for number in range(1, ROUNDS + 1)
    ]
    return {
        "test": score(pool(by_site.values()), CONTRACT).to_json(),
        "sites": {site: score(found, CONTRACT).to_json() for site, found in by_site.items()},
        "rounds": rounds,
        "best_round": ROUNDS - seed,
        "examples_seen": examples,
        "seconds": 6 * 12.5 + 4 + 3 * seed,
        "startup_seconds": 4.0,
        "lr": 1e-4,
        "state_digest": "0123456789abcdef" * 4,
    }


def score_intervals(found: dict[str, Any], margin: float) -> dict[str, Any]:
    around = {name: [prf["f1"] - margin, prf["f1"] + margin] for name, prf in found["types"].items()}
    return {"micro": [found["micro"]["f1"] - margin, found["micro"]["f1"] + margin], "types": around}


def model_intervals(found: dict[str, Any]) -> dict[str, Any]:
    sites = {site: score_intervals(value, 0.03) for site, value in found["sites"].items()}
    return {"test": score_intervals(found["test"], 0.012), "sites": sites}


def mean_f1(runs: Mapping[str, Any]) -> float:
    return fmean(found["test"]["micro"]["f1"] for found in runs.values())


def site_f1(runs: Mapping[str, Any], site: str) -> float:
    return fmean(found["sites"][site]["micro"]["f1"] for found in runs.values())


def difference(delta: float, margin: float) -> dict[str, Any]:
    return {"delta": delta, "low": delta - margin, "high": delta + margin, "p_value": 0.0005 if margin < 0.02 else 0.02}


def partition() -> dict[str, Any]:
    def split(scale: int, site: str) -> dict[str, Any]:
        entities = {name: gold * scale for name, gold in zip(TYPES, GOLD[site], strict=True)}
        total = sum(entities.values())
        return {"documents": total // 10, "sentences": total, "words": 14 * total, "entities": entities}

    sites = [
        {"site": site, "train": split(4, site), "dev": split(1, site), "test": split(1, site), "divergence_bits": bits}
        for site, bits in zip(SITES, (0.061, 0.094, 0.02), strict=True)
    ]
    return {"sites": sites, "mean_divergence_bits": 0.058} | {
        name: {
            "documents": sum(site[name]["documents"] for site in sites),
            "sentences": sum(site[name]["sentences"] for site in sites),
            "words": sum(site[name]["words"] for site in sites),
            "entities": {kind: sum(site[name]["entities"][kind] for site in sites) for kind in TYPES},
        }
        for name in ("train", "dev", "test")
    }


def cell(by_seed: Mapping[int, Counts], margin: float = 0.03) -> dict[str, Any]:
    """Return CELL of metrics.json, divided here."""
    micro = {seed: (sum(found.tp), sum(found.fp), sum(found.fn)) for seed, found in by_seed.items()}
    divided = {seed: 2 * tp / (2 * tp + fp + fn) for seed, (tp, fp, fn) in micro.items()}
    mean = fmean(divided.values())
    seeds = {
        str(seed): dict(zip(("tp", "fp", "fn"), micro[seed], strict=True))
        | {"f1": divided[seed]}
        | {"types": {name: list(each) for name, *each in zip(TYPES, found.tp, found.fp, found.fn, strict=True)}}
        for seed, found in by_seed.items()
    }
    tp, _, fn = micro[0]
    return {"f1": mean, "low": mean - margin, "high": mean + margin, "support": tp + fn, "seeds": seeds}


def matrix_row(arm: str, site: str, skill: Mapping[str, float]) -> dict[str, Any]:
    """Return a row of the matrix: a model with the given skill on each site's text."""
    by_site = {where: {seed: counts(where, skill[where], seed) for seed in SEEDS} for where in skill}
    pooled = {seed: pool(by_seed[seed] for by_seed in by_site.values()) for seed in SEEDS}
    cells = {where: cell(by_seed) for where, by_seed in by_site.items()}
    model = f"{arm}/{site}" if site else arm
    return {"model": model, "arm": arm, "site": site, "pooled": cell(pooled, 0.012), "sites": cells}


def with_matrix(plain: dict[str, Any], own: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return the study with the matrix of its arms."""
    rows = [matrix_row(arm, "", dict.fromkeys(SITES, SKILL[arm])) for arm in ("centralized", "federated")]
    rows += [matrix_row("local", site, skill) for site, skill in own.items()]
    return plain | {"matrix": {"sites": list(SITES), "unseen": [], "types": list(TYPES), "rows": rows}}


def compare() -> dict[str, Any]:
    """Return metrics.json of three arms, three sites and two seeds: joining pays for two sites, not for one."""
    own = {trained: {site: 0.80 if site == trained else 0.74 for site in SITES} for trained in SITES}
    own["site-2"]["site-2"] = 0.85
    flat = {arm: dict.fromkeys(SITES, skill) for arm, skill in SKILL.items()}
    centralized = {str(seed): run(flat["centralized"], seed, sites=False) for seed in SEEDS}
    federated = {str(seed): run(flat["federated"], seed) for seed in SEEDS}
    local = {
        site: {"seeds": {str(seed): run(own[site], seed, sites=False, examples=10_000) for seed in SEEDS}}
        for site in SITES
    }
    pooled_f1, federated_f1 = mean_f1(centralized), mean_f1(federated)
    local_f1 = fmean(mean_f1(arm["seeds"]) for arm in local.values())
    alone = [(site, arm["seeds"]) for site, arm in local.items()]
    gap = (federated_f1 - local_f1) / (pooled_f1 - local_f1)
    means = {
        arm: {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "seeds": 2}
        for arm, mean in (("centralized", pooled_f1), ("federated", federated_f1), ("local", local_f1))
    }
    plain = {
        "schema": 1,
        "contract": {"hash": CONTRACT.digest, "types": list(TYPES)},
        "data": {"corpus": "news", "partition": partition(), "unseen": {}},
        "arms": {"centralized": {"seeds": centralized}, "federated": {"seeds": federated}, "local": {"sites": local}},
        "summary": means | {"gap_closed": {"mean": gap, "low": gap - 0.07, "high": gap + 0.08, "undefined_share": 0.0}},
        "intervals": {
            "centralized": model_intervals(centralized["0"]),
            "federated": model_intervals(federated["0"]),
            "local": {site: model_intervals(arm["seeds"]["0"]) for site, arm in local.items()},
        },
        "differences": {
            "federated-local": difference(federated_f1 - local_f1, 0.014),
            "federated-centralized": difference(federated_f1 - pooled_f1, 0.011),
            "per_site": {site: difference(site_f1(federated, site) - site_f1(own, site), 0.03) for site, own in alone},
        },
        "tuning": {
            "centralized": {"5e-05": 0.81, "0.0001": 0.84},
            "federated": {"5e-05": 0.8, "0.0001": 0.82},
            "local/site-0": {"5e-05": 0.7, "0.0001": 0.71},
        },
        "config": {
            "seed": 0,
            "data": {"kind": "conll2003"},
            "model": {"name": "minilm"},
            "partition": {"kind": "dirichlet", "seed": 0, "sites": 3, "alpha": 0.3},
            "aggregation": {"kind": "fedavg"},
            "federation": {"rounds": ROUNDS},
            "experiment": {"confidence": 0.95, "seeds": list(SEEDS)},
        },
        "environment": {"python": "3.11.2", "packages": {"torch": "2.13", "flwr": "1.41"}, "cores": 2},
        "notices": ["The text is Reuters': research use only."],
        "signature": "entity-f1|scheme:IOB2|mode:strict",
        "command": "fedner compare data=conll2003 partition=dirichlet",
        "complete": True,
        "missing": [],
    }
    return with_matrix(plain, own)


def add_fine_tuned(plain: dict[str, Any]) -> dict[str, Any]:
    """Return the comparison with every site's fine-tuned model: better at home, worse away than the federated one."""
    skill = {trained: {site: 0.88 if site == trained else 0.78 for site in SITES} for trained in SITES}
    federated = plain["arms"]["federated"]["seeds"]
    arm: dict[str, Any] = {}
    for site in SITES:
        runs = {str(seed): run(skill[site], seed, sites=False, examples=4_000) for seed in SEEDS}
        for found in runs.values():
            before = found["rounds"][0] | {"round": 0, "train_loss": None}
            found |= {"rounds": [before, *found["rounds"][:2]], "best_round": 2, "started_from": "fedcba98" * 8}
        arm[site] = {"seeds": runs}
    mean = fmean(mean_f1(found["seeds"]) for found in arm.values())
    plain["arms"]["fine_tuned"] = {"sites": arm}
    plain["summary"]["fine_tuned"] = {"mean": mean, "low": mean - 0.02, "high": mean + 0.02, "seeds": 2}
    plain["intervals"]["fine_tuned"] = {site: model_intervals(found["seeds"]["0"]) for site, found in arm.items()}
    plain["differences"]["per_site_fine_tuned"] = {
        site: difference(site_f1(found["seeds"], site) - site_f1(federated, site), 0.03) for site, found in arm.items()
    }
    plain["tuning"]["fine_tuned/site-0"] = {"5e-05": 0.7, "0.0001": 0.72}
    plain["matrix"]["rows"] += [matrix_row("fine_tuned", site, skill[site]) for site in SITES]
    return plain


@pytest.fixture
def fine_tuned() -> dict[str, Any]:
    return add_fine_tuned(compare())


@pytest.fixture
def comparison() -> dict[str, Any]:
    return compare()


@pytest.fixture
def single() -> dict[str, Any]:
    """One federated run and nothing else that may be absent."""
    full = compare()
    federated = {"seeds": {"0": full["arms"]["federated"]["seeds"]["0"]}}
    return {"schema": 1, "contract": full["contract"], "arms": {"federated": federated}}


@pytest.fixture
def incomplete(comparison: dict[str, Any]) -> dict[str, Any]:
    """A comparison that was interrupted: a site's local model and the intervals are missing."""
    del comparison["arms"]["local"]["sites"]["site-2"], comparison["intervals"], comparison["differences"]
    comparison["summary"] = {}
    return comparison | {"complete": False, "missing": ["local site-2 seed 0", "local site-2 seed 1"]}


@pytest.fixture
def one_seed(comparison: dict[str, Any]) -> dict[str, Any]:
    """The comparison with its first seed only, and without intervals of its summaries."""
    plain = copy.deepcopy(comparison)
    arms = plain["arms"]
    for arm in (arms["centralized"], arms["federated"], *arms["local"]["sites"].values()):
        del arm["seeds"]["1"]
    for name, summary in plain["summary"].items():
        plain["summary"][name] = {"mean": summary["mean"], "low": None, "high": None, "seeds": 1}
    return plain
