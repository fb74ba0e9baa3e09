import copy

import numpy as np
import pytest

from fedner.config import ModelConfig, TrainingConfig
from fedner.data.corpus import Document
from fedner.data.labels import LabelContract
from fedner.learning.tagger.model import build_tagger
from fedner.learning.tagger.tensors import get_state
from fedner.learning.training.fitting import fit
from fedner.learning.training.schedule import in_round
from fedner.learning.workspace import Workspace, workspace
from fedner.tensors import digest

TINY = ModelConfig(name="tiny-random", max_length=64)


@pytest.fixture
def warm(contract: LabelContract) -> Workspace:
    return Workspace(TINY, contract)


def test_equal_configurations_share_one_workspace(contract: LabelContract) -> None:
    assert workspace(TINY, contract) is workspace(ModelConfig(name="tiny-random", max_length=64), contract)
    assert workspace(TINY, contract) is not workspace(ModelConfig(name="tiny-random", max_length=32), contract)


def test_the_initial_state_is_that_of_a_fresh_tagger_whatever_was_trained_before(
    warm: Workspace, contract: LabelContract, documents: tuple[Document, ...], config: TrainingConfig
) -> None:
    wanted = digest(get_state(build_tagger(TINY, contract, seed=3).model))
    fit(warm.tagger, warm.encoded(documents), in_round(config, seed=0, site="a", number=1, rounds=1))
    assert digest(warm.initial_state(3)) == wanted
    assert digest(get_state(warm.tagger.model)) == wanted
    assert digest(warm.initial_state(4)) != wanted


def test_equal_documents_are_encoded_once(warm: Workspace, documents: tuple[Document, ...]) -> None:
    first = warm.encoded(documents)
    assert warm.encoded(documents) is first
    assert warm.encoded(copy.deepcopy(documents)) is first
    other = warm.encoded(documents[:3])
    assert other is not first
    assert other.documents == documents[:3]


def test_a_document_with_other_tags_is_another_document(warm: Workspace, documents: tuple[Document, ...]) -> None:
    document = copy.deepcopy(documents[0])
    sentence = document.sentences[0]
    untagged = Document(
        document.id, (type(sentence)(sentence.words, ("O",) * len(sentence.words)), *document.sentences[1:])
    )
    changed = warm.encoded((untagged, *documents[1:]))
    assert not np.array_equal(changed.labels, warm.encoded(documents).labels)


def test_encodings_of_many_sites_do_not_pile_up(warm: Workspace, documents: tuple[Document, ...]) -> None:
    first = warm.encoded(documents[:1])
    for number in range(70):
        warm.encoded((Document(f"x{number}", documents[1].sentences),))
    assert warm.encoded(documents[:1]) is not first
