"""Sites that annotate part of the types: what is taken out of whose text, and what stays."""

import pytest

from fedner.config import from_plain
from fedner.data.annotation import annotate_partly, without_types
from fedner.data.corpus import Document, Sentence, Shard
from fedner.data.labels import EntityType, LabelContract
from fedner.data.simulated_sites import load_sites
from fedner.errors import ConfigError

CONTRACT = LabelContract("test", 1, (EntityType("PER"), EntityType("LOC"), EntityType("ORG")))
TAGS = ("B-PER", "I-PER", "B-LOC", "O", "B-ORG", "I-ORG")
TEXT = Document("d", (Sentence(("a", "b", "c", "d", "e", "f"), TAGS),))
SHARDS = [Shard(name, (TEXT,), (TEXT,), (TEXT,)) for name in ("north", "south")]


def tags(documents: tuple[Document, ...]) -> tuple[str, ...]:
    return documents[0].sentences[0].tags


def test_taken_out_types_are_o_and_said_to_be_unannotated():
    document = without_types(TEXT, ["LOC", "ORG"])
    assert document.sentences[0].tags == ("B-PER", "I-PER", "O", "O", "O", "O")
    assert document.unannotated == ("LOC", "ORG")
    assert without_types(document, ["ORG", "PER"]).unannotated == ("LOC", "ORG", "PER")


def test_a_site_keeps_its_own_types_in_train_and_dev_and_all_of_its_test_text():
    north, south = annotate_partly(SHARDS, {"north": ["LOC"]}, CONTRACT, whole_test=True)
    assert tags(north.train) == tags(north.dev) == ("O", "O", "B-LOC", "O", "O", "O")
    assert north.unannotated("train") == north.unannotated("dev") == ("PER", "ORG")
    assert (tags(north.test), north.unannotated("test")) == (TAGS, ())
    assert south == SHARDS[1]


def test_its_test_text_may_lose_them_too():
    north, _ = annotate_partly(SHARDS, {"north": ["LOC"]}, CONTRACT, whole_test=False)
    assert (tags(north.test), north.unannotated("test")) == (("O", "O", "B-LOC", "O", "O", "O"), ("PER", "ORG"))


def test_a_split_lacks_the_types_that_none_of_its_documents_annotates():
    mixed = (without_types(TEXT, ["LOC", "ORG"]), without_types(TEXT, ["ORG"]))
    assert Shard("a", mixed, (*mixed, TEXT), ()).unannotated("train") == ("ORG",)
    assert Shard("a", mixed, (*mixed, TEXT), ()).unannotated("dev") == ()
    assert Shard("a", mixed, (), ()).unannotated("test") == ()


@pytest.mark.parametrize(
    ("annotated", "message"),
    [
        ({"nord": ["LOC"]}, r"partition.annotated: expected one of the sites north, south, got 'nord' \(did you mean"),
        ({"north": ["loc"]}, r"partition.annotated.north: .* \(PER, LOC, ORG\), got 'loc' \(did you mean 'LOC'\?\)"),
    ],
)
def test_a_site_or_type_that_is_not_there_is_refused_with_its_name(annotated: dict[str, list[str]], message: str):
    with pytest.raises(ConfigError, match=message):
        annotate_partly(SHARDS, annotated, CONTRACT, whole_test=True)


def test_a_simulation_has_the_sites_that_its_configuration_describes():
    types = {"PATIENT": "", "DRUG": "", "DOSE": "", "DATE": "", "HOSPITAL": ""}
    config = from_plain(
        {
            "data": {"kind": "synthetic", "contract": {"types": types}, "train_documents": 16, "dev_documents": 8},
            "partition": {"kind": "iid", "sites": 2, "annotated": {"site-1": ["DRUG", "DOSE"]}},
            "aggregation": {"kind": "fedavg"},
        }
    )
    whole, partly = load_sites(config.data, config.partition).shards
    found = {tag[2:] for each in partly.train for s in each.sentences for tag in s.tags if tag != "O"}
    assert found == {"DRUG", "DOSE"}
    assert partly.unannotated("train") == ("PATIENT", "DATE", "HOSPITAL")
    assert whole.unannotated("train") == partly.unannotated("test") == ()
