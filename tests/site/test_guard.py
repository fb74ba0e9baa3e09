"""Real sites with policies, in process: what they refuse, what the server does without it, what is written down."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from flwr.app import Context, Message, RecordDict

from fedner.audit.trail import Trail
from fedner.audit.verification import verify
from fedner.config import Config, Precision, from_plain, to_plain
from fedner.config.site import MachineConfig
from fedner.data.labels import contract_from_config, write_contract
from fedner.data.simulated_sites import load_sites
from fedner.errors import FederationError
from fedner.protocol import wire
from fedner.protocol.messages import Header, HelloRequest
from fedner.protocol.nodes import Nodes
from fedner.protocol.packing import PARCEL
from fedner.records.results import RunOutcome
from fedner.records.run_directory import create_run, open_run
from fedner.refusals import Refusal
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid
from fedner.simulation.running import run_in_process
from fedner.site.app import app
from fedner.site.dry_run import preview
from fedner.site.guard import on_machine
from fedner.site.node_config import CONTRACT, MEMORY_OF_RUNS, SITE_FILE

SITES = ("alderbrook", "northquay", "stillwater")
SILENT = {"dev": {"tell": "none"}}


def write_site(folder: Path, shard, **more: object) -> Path:
    folder.mkdir(parents=True)
    for split in ("train", "dev", "test"):
        texts = (
            "\n".join("".join(map("{} {}\n".format, each.words, each.tags)) for each in document.sentences)
            for document in shard.split(split)
        )
        (folder / f"{split}.conll").write_text("".join(f"-DOCSTART- O\n\n{text}\n" for text in texts))
    files = {split: [f"{split}.conll"] for split in ("train", "dev", "test")}
    (folder / "site.yaml").write_text(yaml.safe_dump({"site": shard.site, "data": files, **more}))
    return folder / "site.yaml"


class Machines(LocalGrid):
    """Sites that pass for machines of their own, so that states travel as parcels."""

    nodes = Nodes.real

    def __init__(self, runner: InlineRunner, nodes: list[int]) -> None:
        super().__init__(runner, nodes)
        self.arrays: set[str] = set()

    def push_messages(self, messages: Iterable[Message]) -> list[str | None]:
        messages = list(messages)
        for record in (message.content.get("arrays") for message in messages):
            self.arrays |= set(record or ())
        return super().push_messages(messages)


class Place:
    """Three real sites, each with its own folder."""

    def __init__(self, config: Config, root: Path, policies: dict[str, dict]) -> None:
        plain = to_plain(config)
        plain["data"] = {"kind": "at_sites", "contract": plain["data"]["contract"]}
        self.config, self.root = from_plain(plain), root
        contract = contract_from_config(config.data.contract)
        write_contract(contract, root / "contract.yaml")
        self.contexts = {}
        for node, shard in enumerate(load_sites(config.data, config.partition).shards, start=2):
            file = write_site(root / shard.site, shard, policy=policies.get(shard.site, {}))
            named = {CONTRACT: str(root / "contract.yaml"), MEMORY_OF_RUNS: str(root / shard.site / "memory")}
            self.contexts[node] = Context(1, node, {SITE_FILE: str(file), **named}, RecordDict(), {})

    def run(self, kind: type[LocalGrid] = LocalGrid) -> RunOutcome:
        run = create_run(self.root / "run", self.config, contract_from_config(self.config.data.contract))
        with kind(InlineRunner(app, self.contexts), list(self.contexts)) as grid:
            self.grid = grid
            return federate(self.config, grid, run, trail=Trail(run.path / "audit.jsonl", run.name))

    def history(self, event: str) -> list[dict]:
        return [line for line in open_run(self.root / "run").history() if line["event"] == event]

    def trail(self, site: str) -> list[dict]:
        text = (self.root / site / "audit.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("kind", [LocalGrid, Machines])
def test_policies_of_their_own_leave_the_same_weights_and_matching_records(kind, small_config, tmp_path):
    place = Place(small_config(), tmp_path, {})
    outcome = place.run(kind)
    assert not isinstance(place.grid, Machines) or place.grid.arrays == {PARCEL}
    assert outcome.result.state_digest == run_in_process(small_config(), tmp_path / "simulated").result.state_digest
    assert outcome.test_counts == {}  # counts by document stay, unless a site says otherwise
    server = [json.loads(line) for line in (tmp_path / "run" / "audit.jsonl").read_text("utf-8").splitlines()]
    assert verify(tmp_path / "run" / "audit.jsonl").sound
    sent = {
        message: line["digest"] for line in server if line["event"] == "sent" for message in line["messages"].values()
    }
    received = {line["message"]: line["digest"] for line in server if line["event"] == "received"}
    for site in SITES:
        assert verify(tmp_path / site / "audit.jsonl").sound
        lines = place.trail(site)
        # Opening; hello, 2 rounds of train and dev, test: asked and answered each.
        assert [line["event"] for line in lines] == ["trail opened", *["asked", "answered"] * 6]
        for line in lines[3:]:
            other = sent if line["event"] == "asked" else received
            assert other[line["message"]] == line["digest"]
            assert line["event"] == "asked" or line["tensors"] in (0, len(outcome.best_state))
        assert str(tmp_path) not in json.dumps(lines)


def test_a_site_that_keeps_dev_scores_is_told_apart_and_the_rest_is_pooled(small_config, tmp_path):
    place = Place(small_config(), tmp_path, {"northquay": SILENT})
    result = place.run().result
    plain = run_in_process(small_config(), tmp_path / "plain").result
    assert result.rounds[0].dev is not None
    assert plain.rounds[0].dev is not None
    kept = sum(prf.support for prf in plain.rounds[0].dev.types.values())
    told = sum(prf.support for prf in result.rounds[0].dev.types.values())
    assert 0 < told < kept
    assert result.rounds[0].withheld == {"northquay": "its policy keeps the counts"}
    assert result.rounds[0].refused == {}
    assert place.history("round evaluated")[0]["withheld"] == {"northquay": "its policy keeps the counts"}
    # Its state was sent for training, never for a score that would not come.
    assert sum(line["event"] == "asked" for line in place.trail("northquay")) == 4  # hello, train, train, test


def test_a_run_in_which_nobody_tells_dev_scores_ends_with_its_last_round(small_config, tmp_path):
    place = Place(small_config(), tmp_path, dict.fromkeys(SITES, SILENT))
    result = place.run().result
    assert [entry.dev for entry in result.rounds] == [None, None]
    assert result.best_round == 2
    assert set(result.sites) == set(SITES)


def test_a_run_in_which_nobody_tells_test_scores_does_not_begin(small_config, tmp_path):
    place = Place(small_config(), tmp_path, {site: {"test": {"tell": "none"}} for site in SITES})
    with pytest.raises(FederationError, match=r"none of alderbrook, northquay, stillwater sends test scores"):
        place.run()


def test_a_run_that_a_policy_forbids_is_refused_with_a_reason_and_goes_on_elsewhere(small_config, tmp_path):
    place = Place(small_config(min_sites=2), tmp_path, {"northquay": {"runs": ["other"]}})
    result = place.run().result
    assert result.rounds[-1].sites == ("alderbrook", "stillwater")
    (turned_away,) = place.history("site refused")
    assert turned_away["reason"] == "policy-run: the site's policy does not name this run"
    assert [line["event"] for line in place.trail("northquay")] == ["trail opened", "asked", "refused"]


def test_a_site_that_cannot_keep_its_record_does_nothing(small_config, tmp_path):
    place = Place(small_config(min_sites=2), tmp_path, {})
    (tmp_path / "northquay" / "audit.jsonl").mkdir()
    with pytest.raises(FederationError, match="audit: the site cannot keep its audit trail"):
        place.run()


def test_a_dry_run_shows_what_then_leaves(small_config, tmp_path):
    place = Place(small_config(), tmp_path, {"northquay": {**SILENT, "test": {"tell": "listed", "types": ["DRUG"]}}})
    shown = {each.request.value: each for each in preview(place.config, place.contexts[3])}
    assert not (tmp_path / "northquay" / "audit.jsonl").exists()
    place.run()
    answered = [line for line in place.trail("northquay") if line["event"] == "answered"]
    left = {"hello": answered[0], "train": answered[1], "test": answered[3]}
    for kind, line in left.items():
        content = shown[kind].content
        assert (line["tensors"], line["values"]) == (len(content.tensors), len(content.values))
    assert str(shown["dev"].refusal) == "policy-scores: the site keeps its dev scores to itself"
    withheld = next(value.text for value in shown["test"].content.values if value.name == "config/withheld")
    assert json.loads(withheld) == ["PATIENT", "DOSE", "DATE", "HOSPITAL"]


@pytest.mark.parametrize("value", [{"_target_": "os.system"}, {"lr": "${oc.env:HOME}"}])
def test_a_config_that_would_act_is_refused_and_written_down(small_config, tmp_path, value):
    place = Place(small_config(), tmp_path, {})
    plain = to_plain(place.config)
    plain["training"] |= value
    header = Header(run="run", round=0, seed=0, contract="ab" * 32)
    request = wire.hello_request(HelloRequest(header=header, config=json.dumps(plain)))
    reply = app(message=Message(request, 2, wire.HELLO), context=place.contexts[2])
    assert wire.read_hello_reply(reply) == Refusal("config", "the configuration does not fit this site")
    lines = place.trail("alderbrook")
    assert [line["event"] for line in lines] == ["trail opened", "asked", "refused"]
    assert "os.system" not in json.dumps(lines)


@pytest.mark.parametrize(("asked", "given", "taken"), [(1, 4, 1), (8, 4, 4), (None, 4, 4), (2, None, 2), (None,) * 3])
def test_a_site_gives_a_run_no_more_threads_than_it_wants_to(small_config, asked, given, taken):
    config = small_config(training={"threads": asked})
    assert on_machine(config, MachineConfig(threads=given)).training.threads == taken


def test_a_sites_own_device_and_precision_take_the_place_of_the_runs(small_config):
    narrowed = on_machine(small_config(), MachineConfig(device="cpu", precision=Precision.fp32)).training
    assert (narrowed.device, narrowed.precision) == ("cpu", Precision.fp32)
    assert on_machine(small_config(), MachineConfig()) == small_config()
