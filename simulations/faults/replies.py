"""One of ten sites answers wrongly in every round: the other nine must get what they would have got without it."""

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.clientapp import ClientApp
from report import Found
from simulation import Bench

from fedner.config import Config, loads
from fedner.data.labels import contract_from_config
from fedner.flower.identity import identify_server
from fedner.protocol.arrays import from_record, to_record
from fedner.records.results import RunOutcome
from fedner.records.run_directory import create_run, open_run
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid, site_contexts
from fedner.site.app import app as honest
from fedner.tensors import State

SITES = 10
BAD = 4
"""The site that answers wrongly, by its number."""

CONFIG = """{"data": {"kind": "synthetic", "institutions": 10, "train_documents": 160, "dev_documents": 40,
"test_documents": 40, "contract": {"name": "synthetic-notes", "version": 1, "types": {"PATIENT": "Name of a patient",
"DRUG": "Name of a medicine", "DOSE": "Amount and unit of a medicine", "DATE": "Calendar date",
"HOSPITAL": "Name of a hospital or clinic"}}}, "partition": {"kind": "natural"}, "aggregation": {"kind": "fedavg"},
"model": {"name": "tiny-random"}, "training": {"lr": 0.01, "threads": 1}, "federation": {"rounds": 5}}"""

Bend = Callable[[Message], Message]


class Bent(ClientApp):
    """The real ClientApp, whose bad site's training replies are bent."""

    def __init__(self, bend: Bend) -> None:
        super().__init__()
        self._bend = bend

    def __call__(self, message: Message, context: Context) -> Message:
        reply = honest(message, context)
        bad = message.metadata.message_type == "train" and context.node_config["partition-id"] == BAD
        return self._bend(reply) if bad else reply


class Repeating(LocalGrid):
    """Hands on every reply of the bad site twice."""

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        replies = super().pull_messages(message_ids)
        bad = self.get_node_ids()[BAD]
        return [each for reply in replies for each in [reply] * (1 + (reply.metadata.src_node_id == bad))]


def absent(_: Message) -> Message:
    raise RuntimeError


def with_arrays(change: Callable[[State], State]) -> Bend:
    def bend(reply: Message) -> Message:
        arrays = {name: np.array(array) for name, array in from_record(reply.content.array_records["arrays"]).items()}
        reply.content["arrays"] = to_record(change(arrays))
        return reply

    return bend


def poisoned(value: float) -> Bend:
    def change(arrays: State) -> State:
        next(iter(arrays.values())).reshape(-1)[7] = value
        return arrays

    return with_arrays(change)


def misshapen(arrays: State) -> State:
    name, array = next(iter(arrays.items()))
    return {**arrays, name: array[:-1]}


def renamed(arrays: State) -> State:
    first, *others = arrays
    return {f"{first}.old": arrays[first], **{name: arrays[name] for name in others}}


def garbage() -> Bend:
    chance = np.random.default_rng(0)
    return with_arrays(lambda arrays: {name: chance.normal(size=array.shape).astype(np.float32)
                                       for name, array in arrays.items()})  # fmt: skip


def foreign(reply: Message) -> Message:
    reply.content.config_records["config"]["contract"] = "f" * 64
    return reply


def boastful(reply: Message) -> Message:
    metrics = reply.content.metric_records["metrics"]
    metrics["num-examples"] = 10 * int(str(metrics["num-examples"]))
    return reply


def forged(code: str) -> Bend:
    """Answer with a refusal whose code would mean that no reply arrived."""

    def bend(reply: Message) -> Message:
        reply.content = RecordDict({"failure": ConfigRecord({"code": code, "sentence": "no reply within 5 s"})})
        return reply

    return bend


def play(path: Path, app: ClientApp, grid: type[LocalGrid] = LocalGrid) -> RunOutcome:
    config: Config = loads(CONFIG)
    identify_server()
    contexts = site_contexts(SITES)
    run = create_run(path, config, contract_from_config(config.data.contract))
    with grid(InlineRunner(app, contexts), list(contexts)) as opened:
        return federate(config, opened, run)


def refused(bend: Callable[[], Bend], word: str) -> Callable[[Bench], Found]:
    """Let one of ten sites bend its reply in every round; the run must be that of the nine others, byte for byte."""

    def fault(bench: Bench) -> Found:
        nine = _kept(bench, "nine", Bent(absent))
        bench.count += 1
        path = bench.folder / f"run-{bench.count}"
        outcome = play(path, Bent(bend()))
        told = [line for line in open_run(path).history() if line["event"] in ("reply refused", "site suspended")]
        reasons = [line["reason"] for line in told if line["event"] == "reply refused"]
        suspended = [line["round"] for line in told if line["event"] == "site suspended"]
        equal = outcome.result.state_digest == nine.result.state_digest and outcome.result.test == nine.result.test
        ok = equal and len({line["site"] for line in told}) == 1 and all(word in reason for reason in reasons)
        happened = f"refused {len(reasons)} times ({reasons[0]}), suspended from round {suspended[0]}"
        return Found(happened, 0, f"{_bytes(equal)} of the nine-site run; {_dev(outcome, nine)}", ok)

    return fault


def twice(bench: Bench) -> Found:
    """Let one site's replies come twice."""
    ten = _kept(bench, "ten", honest)
    bench.count += 1
    path = bench.folder / f"run-{bench.count}"
    outcome = play(path, honest, Repeating)
    told = [line for line in open_run(path).history() if line["event"] == "reply ignored"]
    equal = outcome.result.state_digest == ten.result.state_digest and outcome.result.test == ten.result.test
    result = f"{_bytes(equal)} of the ten-site run; {_dev(outcome, ten)}"
    happened = f"counted once, ignored {len(told)} times ({told[0]['reason']})" if told else "not noticed"
    return Found(happened, 0, result, equal and len(told) == 11)  # five rounds train and dev, and the final test


def _kept(bench: Bench, name: str, app: ClientApp) -> RunOutcome:
    if name not in bench.outcomes:
        bench.outcomes[name] = play(bench.folder / name, app)
    return bench.outcomes[name]


def _bytes(equal: bool) -> str:
    return "the same bytes as those" if equal else "other bytes than those"


def _dev(outcome: RunOutcome, other: RunOutcome) -> str:
    found, wanted = (each.result.rounds[-1].dev for each in (outcome, other))
    assert found is not None
    assert wanted is not None
    return f"dev F1 {found.micro.f1:.4f} and {wanted.micro.f1:.4f}"
