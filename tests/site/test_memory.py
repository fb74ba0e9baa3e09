from pathlib import Path

import numpy as np
import pytest
from flwr.app import Context, RecordDict

from fedner.errors import StateError
from fedner.site.memory import recall, remember
from fedner.site.node_config import MEMORY


@pytest.fixture
def context(tmp_path: Path) -> Context:
    return Context(run_id=1, node_id=2, node_config={MEMORY: str(tmp_path / "site")}, state=RecordDict(), run_config={})


def test_a_full_disk_is_told_without_a_path_and_leaves_what_was_known(context: Context, tmp_path: Path, full_disk):
    remember(context, 1, {"seen": np.arange(3)})
    with full_disk(16), pytest.raises(StateError, match=r"of round 2 cannot be written .*File too large") as told:
        remember(context, 2, {"seen": np.arange(9)})
    assert str(tmp_path) not in str(told.value)
    known = recall(context, 3)
    assert known is not None
    np.testing.assert_array_equal(known["seen"], np.arange(3))
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["training-0001.safetensors"]
