"""A type added to the contract: old tags keep their ids and their logits, and old models begin new runs."""

from pathlib import Path

import pytest
import torch

from fedner.config import ModelConfig
from fedner.data.encoding import Encoded
from fedner.data.labels import EntityType, LabelContract
from fedner.errors import LabelError
from fedner.learning.batches import collate
from fedner.learning.tagger.growing import grow_head
from fedner.learning.tagger.model import Tagger, build_tagger, load_tagger, save_tagger
from fedner.learning.tagger.tensors import get_state
from fedner.learning.workspace import Workspace
from fedner.tensors import digest


@pytest.fixture
def grown(contract: LabelContract) -> LabelContract:
    return LabelContract("test", 2, (*contract.types, EntityType("ORG", "organisations")))


def logits(tagger: Tagger, encoded: Encoded) -> torch.Tensor:
    batch = collate(encoded, torch.arange(encoded.num_windows).numpy(), torch.device("cpu"))
    with torch.no_grad():
        return tagger.model(input_ids=batch.input_ids, attention_mask=batch.mask).logits


def test_logits_of_old_tags_are_unchanged_and_new_ones_begin_near_none(
    tagger: Tagger, encoded: Encoded, grown: LabelContract
):
    torch.nn.init.normal_(tagger.model.classifier.bias)
    before, numbers = logits(tagger, encoded), torch.get_rng_state()
    grow_head(tagger.model, grown, seed=0)
    assert torch.equal(numbers, torch.get_rng_state())
    after = logits(tagger, encoded)
    assert after.shape[-1] == len(grown.tags) == 7
    torch.testing.assert_close(after[..., :5], before)
    weight, bias = tagger.model.classifier.weight, tagger.model.classifier.bias
    assert bool(weight[5:].any())
    assert not bool(bias[5:].any())
    assert tagger.model.config.id2label == dict(enumerate(grown.tags))


def test_a_saved_model_begins_a_run_under_the_grown_contract_with_its_head(
    tagger: Tagger, grown: LabelContract, tmp_path: Path
):
    save_tagger(tagger, tmp_path / "model", "")
    config = ModelConfig(name=str(tmp_path / "model"), max_length=64)
    found = build_tagger(config, grown, seed=5)
    assert found.head_is_trained
    assert torch.equal(found.model.classifier.weight[:5], tagger.model.classifier.weight)
    starts = [digest(Workspace(config, grown).initial_state(seed)) for seed in (0, 1)]
    assert starts[0] == starts[1] == digest(get_state(found.model))
    save_tagger(found, tmp_path / "grown", "")
    again = load_tagger(tmp_path / "grown")
    assert again.contract == grown
    assert digest(get_state(again.model)) == starts[0]


def test_a_head_for_other_types_does_not_grow(tagger: Tagger, contract: LabelContract):
    turned = LabelContract("test", 2, (EntityType("ORG"), *contract.types))
    with pytest.raises(LabelError, match="keep old types first"):
        grow_head(tagger.model, turned, seed=0)


def test_a_saved_model_whose_contract_file_has_more_types_is_still_refused(
    tagger: Tagger, grown: LabelContract, tmp_path: Path
):
    save_tagger(tagger, tmp_path / "model", "")
    (tmp_path / "model" / "contract.yaml").write_text("name: test\nversion: 2\ntypes: [PER, LOC, ORG]\n")
    with pytest.raises(LabelError, match="restore the pair"):
        load_tagger(tmp_path / "model")
