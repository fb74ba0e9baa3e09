"""A real site's text: read once a run, and not exchanged in the middle of it without anybody noticing."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from flwr.app import Context, Message, RecordDict

from fedner.audit.verification import verify
from fedner.config import Config, dumps, from_plain, to_plain
from fedner.data.corpus import num_sentences
from fedner.data.labels import contract_from_config, write_contract
from fedner.data.simulated_sites import load_sites
from fedner.protocol import wire
from fedner.protocol.messages import Header, HelloReply, HelloRequest
from fedner.records.progress import Silent
from fedner.records.results import RoundRecord, RunOutcome
from fedner.records.run_directory import create_run, resume_run
from fedner.refusals import Refusal, RefusalCode
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid
from fedner.simulation.running import run_in_process
from fedner.site import own_data
from fedner.site.app import app
from fedner.site.node_config import CONTRACT, MEMORY_OF_RUNS, SITE_FILE

SITES = ("alderbrook", "northquay", "stillwater")
_OPENED: Counter[str] = Counter()
_HOOKED: list[Path] = []


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _HOOKED and isinstance(arguments[0], str) and Path(arguments[0]).parent in _HOOKED:
        _OPENED[arguments[0]] += 1


@contextmanager
def opens_counted(folders: list[Path]) -> Iterator[Counter[str]]:
    """Count how often files that lie in some folders are opened; a hook that was added once cannot be removed."""
    if _count not in _HOOKS:
        sys.addaudithook(_count)
        _HOOKS.append(_count)
    _OPENED.clear()
    _HOOKED[:] = folders
    try:
        yield _OPENED
    finally:
        _HOOKED.clear()


_HOOKS: list[Callable[..., None]] = []


class Places:
    """Three real sites of a run, each with files of its own."""

    def __init__(self, config: Config, root: Path, write_site: Callable[..., Path]) -> None:
        plain = to_plain(config)
        plain["data"] = {"kind": "at_sites", "contract": plain["data"]["contract"]}
        self.config, self.root = from_plain(plain), root
        self.contract = contract_from_config(config.data.contract)
        write_contract(self.contract, root / "contract.yaml")
        self.shards = {shard.site: shard for shard in load_sites(config.data, config.partition).shards}
        self.files = {site: write_site(shard, root / site) for site, shard in self.shards.items()}

    def context(self, site: str) -> Context:
        """Return what Flower hands to a site whose process has just begun."""
        named = {CONTRACT: str(self.root / "contract.yaml"), MEMORY_OF_RUNS: str(self.root / site / "memory")}
        return Context(1, SITES.index(site) + 2, {SITE_FILE: str(self.files[site]), **named}, RecordDict(), {})

    def run(self, progress: Silent, resumed: bool = False) -> RunOutcome:
        contexts = {number: self.context(site) for number, site in enumerate(SITES, start=2)}
        run = (resume_run if resumed else create_run)(self.root / "run", self.config, self.contract)
        with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
            return federate(self.config, grid, run, progress)

    def hello(self, site: str, run: str = "run", context: Context | None = None) -> HelloReply | Refusal:
        header = Header(run=run, round=0, seed=0, contract=self.contract.digest)
        request = wire.hello_request(HelloRequest(header=header, config=dumps(self.config)))
        return wire.read_hello_reply(
            app(message=Message(request, 2, wire.HELLO), context=context or self.context(site))
        )

    def change(self, site: str, split: str = "train") -> None:
        """Take the last document out of a file."""
        file = self.root / site / f"{split}.conll"
        file.write_text("-DOCSTART-".join(file.read_text().split("-DOCSTART-")[:-1]))

    def say(self, site: str, **keys: object) -> None:
        """Write keys into a site file."""
        content = yaml.safe_load(self.files[site].read_text())
        self.files[site].write_text(yaml.safe_dump({**content, **keys}))

    def trail(self, site: str, event: str = "text changed") -> list[dict]:
        assert verify(self.root / site / "audit.jsonl").sound
        lines = map(json.loads, (self.root / site / "audit.jsonl").read_text(encoding="utf-8").splitlines())
        return [line for line in lines if line["event"] == event]


class AfterRound(Silent):
    def __init__(self, number: int, act: Callable[[], None]) -> None:
        self.number, self.act = number, act

    def round_finished(self, entry: RoundRecord, rounds: int) -> None:
        if entry.round == self.number:
            self.act()


@pytest.fixture
def places(small_config, write_site, tmp_path) -> Callable[..., Places]:
    forget_what_the_process_read()
    return lambda **federation: Places(small_config(**federation), tmp_path, write_site)


def forget_what_the_process_read() -> None:
    for cached in (own_data._site, own_data._digest, own_data._text):
        cached.cache_clear()


def test_a_run_of_five_rounds_reads_each_of_a_sites_files_once(places):
    here = places(rounds=5)
    folders = [here.root / site for site in SITES]
    with opens_counted(folders) as opened:
        for site in SITES:
            own_data.own_text(*(digest := own_data_of(here, site)))
        once = {path: number for path, number in opened.items() if path.endswith((".conll", ".yaml"))}
    assert len(once) == 3 * 4, digest
    forget_what_the_process_read()
    with opens_counted(folders) as opened:
        here.run(Silent())
        assert {path: opened[path] for path in once} == once
    assert own_data._text.cache_info().misses == len(SITES)


def own_data_of(here: Places, site: str) -> tuple[Path, Path, str]:
    files = here.files[site], here.root / "contract.yaml"
    return *files, own_data.text_digest(*files)


def test_a_text_that_changes_between_rounds_is_recorded_and_refused_and_the_other_sites_go_on(places):
    here = places(rounds=4, min_sites=2)
    result = here.run(AfterRound(2, lambda: here.change("northquay"))).result
    assert [entry.sites for entry in result.rounds] == [SITES, SITES, *[("alderbrook", "stillwater")] * 2]
    assert result.rounds[2].refused["northquay"].code is RefusalCode.text_changed
    assert set(result.sites) == {"alderbrook", "stillwater"}
    (changed,) = here.trail("northquay")
    assert changed["run"] == "run"
    assert changed["accepted"] is False
    assert changed["began"] != changed["digest"] == own_data_of(here, "northquay")[2]
    refusals = here.trail("northquay", "refused")
    assert {line["code"] for line in refusals} == {"text-changed"}
    assert str(here.root) not in json.dumps(refusals)
    assert not here.trail("alderbrook")


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_text_that_changes_is_taken_where_the_site_file_says_so(places, small_config, split):
    here = places(rounds=3, training={"optimizer_state": "keep"})
    here.say("northquay", accept_changed_text=True)
    outcome = here.run(AfterRound(1, lambda: here.change("northquay", split)))
    assert [entry.sites for entry in outcome.result.rounds] == [SITES] * 3
    (changed,) = here.trail("northquay")
    assert changed["accepted"] is True
    # The test scores, at the end, are of the documents that are there then.
    documents = here.shards["northquay"].test[: -1 if split == "test" else None]
    tags = [tag for document in documents for sentence in document.sentences for tag in sentence.tags]
    assert outcome.result.sites["northquay"].micro.support == sum(tag.startswith("B-") for tag in tags)
    unchanged = run_in_process(small_config(rounds=3, training={"optimizer_state": "keep"}), here.root / "unchanged")
    assert (outcome.result.state_digest == unchanged.result.state_digest) is (split == "test")


def test_a_run_resumes_without_the_site_whose_text_changed_while_it_was_stopped(places):
    here = places(rounds=3, min_sites=2)

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        here.run(AfterRound(1, stop))
    here.change("northquay")
    forget_what_the_process_read()
    result = here.run(Silent(), resumed=True).result
    assert [entry.sites for entry in result.rounds] == [SITES, *[("alderbrook", "stillwater")] * 2]
    assert here.trail("northquay", "refused")[0]["code"] == "text-changed"


def test_a_change_made_while_the_site_was_down_is_noticed(places):
    here = places()
    assert isinstance(here.hello("northquay"), HelloReply)
    here.change("northquay", "test")
    forget_what_the_process_read()
    for _ in range(2):
        assert code_of(here.hello("northquay")) == "text-changed"
    assert len(here.trail("northquay")) == 1


def code_of(reply: HelloReply | Refusal) -> str:
    assert isinstance(reply, Refusal)
    return reply.code


def test_a_refused_text_is_taken_when_it_is_what_it_was_or_when_the_site_file_says_so_and_both_are_recorded(places):
    here = places()
    file = here.root / "northquay" / "train.conll"
    whole = file.read_text()
    here.hello("northquay")
    here.change("northquay")
    assert code_of(here.hello("northquay")) == "text-changed"
    file.write_text(whole)
    assert isinstance(here.hello("northquay"), HelloReply)
    here.change("northquay")
    assert code_of(here.hello("northquay")) == "text-changed"
    here.say("northquay", accept_changed_text=True)
    assert isinstance(here.hello("northquay"), HelloReply)
    here.say("northquay", accept_changed_text=False)
    assert isinstance(here.hello("northquay"), HelloReply)  # what was accepted stays accepted
    first, back, again, accepted = here.trail("northquay")
    assert first["began"] == back["began"] == back["digest"] == again["began"] == accepted["began"]
    assert first["digest"] == again["digest"] == accepted["digest"]
    assert [line["accepted"] for line in (first, back, again, accepted)] == [False, False, False, True]


def test_another_run_begins_with_the_text_that_is_there_then(places):
    here = places()
    here.hello("northquay")
    here.change("northquay")
    reply = here.hello("northquay", "another")
    assert isinstance(reply, HelloReply)
    shard = here.shards["northquay"]
    assert reply.train_sentences == num_sentences(shard.train) - len(shard.train[-1].sentences)
    assert code_of(here.hello("northquay")) == "text-changed"


def test_a_node_without_a_folder_notices_a_change_as_long_as_flower_keeps_its_context(places):
    here = places()
    context = here.context("northquay")
    del context.node_config[MEMORY_OF_RUNS]
    assert isinstance(here.hello("northquay", context=context), HelloReply)
    here.change("northquay")
    assert code_of(here.hello("northquay", context=context)) == "text-changed"


def test_a_stricter_policy_holds_at_once_and_is_no_other_text(places):
    here = places(rounds=3, min_sites=2)
    stricter = {"requests": ["hello", "dev", "test"]}
    result = here.run(AfterRound(1, lambda: here.say("northquay", policy=stricter))).result
    assert result.rounds[0].sites == SITES
    assert [entry.sites for entry in result.rounds[1:]] == [("alderbrook", "stillwater")] * 2
    assert {line["code"] for line in here.trail("northquay", "refused")} == {"policy-request"}
    assert set(result.sites) == set(SITES)
    assert not here.trail("northquay")


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"map": {"DRUG": None}}},
        {"data": {"train": ["dev.conll"], "dev": ["dev.conll"], "test": ["test.conll"]}},
    ],
)
def test_other_labels_or_other_files_are_another_text(places, change):
    here = places()
    here.hello("northquay")
    here.say("northquay", **change)
    assert code_of(here.hello("northquay")) == "text-changed"


def test_touching_a_file_or_writing_what_was_there_is_no_change(places):
    here = places()
    here.hello("northquay")
    for split in ("train", "dev", "test"):
        file = here.root / "northquay" / f"{split}.conll"
        content = file.read_bytes()
        file.unlink()
        file.write_bytes(content)
    assert isinstance(here.hello("northquay"), HelloReply)
    assert own_data._text.cache_info().misses == 1


def test_files_that_come_into_a_folder_of_brat_files_are_a_change(places):
    here = places()
    folder = here.root / "northquay" / "brat"
    folder.mkdir()
    (folder / "one.txt").write_text("Seen by Ann.")
    (folder / "one.ann").write_text("T1\tPATIENT 8 11\tAnn\n")
    files = {"train": ["brat"], "dev": ["dev.conll"], "test": ["test.conll"]}
    here.say("northquay", data=files)
    assert isinstance(here.hello("northquay"), HelloReply)
    (folder / "two.txt").write_text("Nobody.")
    (folder / "two.ann").write_text("")
    assert code_of(here.hello("northquay")) == "text-changed"
