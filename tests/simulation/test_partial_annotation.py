"""A federation whose sites annotated different types, from their text to the pooled score."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fedner.config import Config
from fedner.data.simulated_sites import load_sites
from fedner.metrics import total
from fedner.records.results import run_from_json, run_to_json
from fedner.simulation.running import run_in_process

OWN = {"alderbrook": ["PATIENT", "DRUG"], "northquay": ["DRUG", "DOSE", "DATE", "HOSPITAL"]}


def test_pooled_counts_are_the_sites_own_and_say_who_contributed(small_config: Callable[..., Config], tmp_path: Path):
    config = small_config(training={"epochs": 1, "distil_weight": 0.5})
    config = replace(config, partition=replace(config.partition, annotated=OWN, whole_test=False))
    outcome = run_in_process(config, tmp_path / "run")
    types = load_sites(config.data, config.partition).corpus.contract.type_names
    result = outcome.result
    for site, own in OWN.items():
        other = [index for index, name in enumerate(types) if name not in own]
        assert not outcome.test_counts[site][:, other].any()
    pooled = [total(counts) for counts in outcome.test_counts.values()]
    for index, name in enumerate(types):
        annotating = [site for site in result.sites if name in OWN.get(site, types)]
        assert result.support[name] == {site: result.sites[site].types[name].support for site in annotating}
        assert sum(result.support[name].values()) == result.test.types[name].support
        assert sum(counts.tp[index] + counts.fn[index] for counts in pooled) == result.test.types[name].support
    assert set(result.support["PATIENT"]) == {"alderbrook", "stillwater"}
    assert run_from_json(run_to_json(result)).support == result.support


def test_the_full_test_set_is_scored_where_test_text_stays_whole(small_config: Callable[..., Config], tmp_path: Path):
    config = small_config(training={"epochs": 1})
    partly = replace(config, partition=replace(config.partition, annotated=OWN))
    whole = sum(
        sum(tag.startswith("B-") for document in shard.test for each in document.sentences for tag in each.tags)
        for shard in load_sites(config.data, config.partition).shards
    )
    result = run_in_process(partly, tmp_path / "run").result
    assert result.test.micro.support == whole
    assert all(set(sites) == set(result.sites) for sites in result.support.values())
    dev = result.rounds[0].dev
    assert dev is not None
    assert dev.micro.support < sum(
        tag.startswith("B-")
        for shard in load_sites(config.data, config.partition).shards
        for document in shard.dev
        for each in document.sentences
        for tag in each.tags
    )
