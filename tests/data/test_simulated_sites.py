from dataclasses import replace

from fedner.config import ContractConfig, IidPartition, SyntheticData
from fedner.data.simulated_sites import load_sites

DATA = SyntheticData(
    contract=ContractConfig(types=dict.fromkeys(("PATIENT", "DRUG", "DOSE", "DATE", "HOSPITAL"), "")),
    train_documents=8,
    dev_documents=4,
    test_documents=4,
)


def test_equal_configs_give_the_same_sites_and_others_give_their_own() -> None:
    sites = load_sites(DATA, IidPartition(sites=2))
    again = load_sites(replace(DATA), IidPartition(sites=2, annotated={}))
    assert again is sites
    assert len(load_sites(DATA, IidPartition(sites=4)).shards) == 4
    partly = load_sites(DATA, IidPartition(sites=2, annotated={"site-0": ["DRUG"]}))
    assert partly.shards[0].unannotated("train") == ("PATIENT", "DOSE", "DATE", "HOSPITAL")
