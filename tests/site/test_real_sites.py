"""Sites that read their own files: the same bytes as in a simulation, and nothing of theirs in the run's config."""

import pytest
from flwr.app import Context, RecordDict

from fedner.config import AtSitesData, Config, dumps, from_plain, to_plain
from fedner.data.labels import contract_from_config, write_contract
from fedner.data.simulated_sites import load_sites
from fedner.errors import ConfigError, FederationError
from fedner.records.run_directory import create_run
from fedner.server.coordinator import federate
from fedner.simulation.grid import InlineRunner, LocalGrid
from fedner.simulation.running import run_in_process
from fedner.site.app import app, local_site
from fedner.site.node_config import CONTRACT, MEMORY_OF_RUNS, SITE_FILE


def at_sites(config: Config) -> Config:
    plain = to_plain(config)
    plain["data"] = {"kind": "at_sites", "contract": plain["data"]["contract"]}
    return from_plain(plain)


def node(identity: int, **node_config: str) -> Context:
    return Context(run_id=1, node_id=identity, node_config=dict(node_config), state=RecordDict(), run_config={})


@pytest.fixture
def places(small_config, write_site, tmp_path) -> tuple[Config, dict[int, Context]]:
    """A simulation's config, and nodes of the same sites that have their text in files."""
    config = small_config()
    write_contract(contract_from_config(config.data.contract), tmp_path / "contract.yaml")
    contexts = {}
    for number, shard in enumerate(load_sites(config.data, config.partition).shards):
        file = write_site(shard, tmp_path / "text" / shard.site)
        said = {CONTRACT: str(tmp_path / "contract.yaml"), MEMORY_OF_RUNS: str(tmp_path / "memory" / shard.site)}
        contexts[number + 2] = node(number + 2, **{SITE_FILE: str(file), **said})
    return config, contexts


def test_sites_with_files_of_their_own_end_with_the_bytes_of_the_simulation(places, tmp_path):
    config, contexts = places
    simulated = run_in_process(config, tmp_path / "simulated")
    deployed, contract = at_sites(config), contract_from_config(config.data.contract)
    run = create_run(tmp_path / "deployed", deployed, contract)
    with LocalGrid(InlineRunner(app, contexts), list(contexts)) as grid:
        outcome = federate(deployed, grid, run)
    assert outcome.result.state_digest == simulated.result.state_digest
    assert outcome.result.test == simulated.result.test
    assert str(tmp_path / "text") not in (run.path / "config.yaml").read_text()
    assert all(list((tmp_path / "memory" / path.name).glob("deployed-*/training-0002*")) for path in
               (tmp_path / "text").iterdir())  # fmt: skip


def test_a_real_site_reads_no_text_that_the_run_names(places):
    config, contexts = places
    with pytest.raises(FederationError, match=r"data.kind=synthetic, but a real site reads its own text alone"):
        local_site(dumps(config), contexts[2])


def test_a_node_that_is_no_site_says_so(places):
    config, _ = places
    with pytest.raises(FederationError, match="it is no site"):
        local_site(dumps(config), node(9))
    with pytest.raises(FederationError, match="no contract"):
        local_site(dumps(at_sites(config)), node(9, **{SITE_FILE: "site.yaml"}))


def test_a_simulation_has_no_text_of_this_kind(places):
    config, _ = places
    deployed = at_sites(config)
    assert isinstance(deployed.data, AtSitesData)
    with pytest.raises(ConfigError, match="at_sites has its text at the sites"):
        load_sites(deployed.data, deployed.partition)


@pytest.mark.parametrize(("group", "key", "value"), [("data", "train_sentences", 5), ("partition", "kind", "iid")])
def test_what_only_a_simulation_decides_is_refused(places, group, key, value):
    plain = to_plain(at_sites(places[0]))
    plain[group] = {**plain[group], key: value} if group == "data" else {key: value}
    with pytest.raises(ConfigError, match=f"{group}.{key}: expected .*data=at_sites"):
        from_plain(plain)
