"""What is wrapped is unwrapped as it was, and what is no parcel is refused in a sentence."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from fedner.errors import FederationError
from fedner.protocol.arrays import to_record
from fedner.protocol.manifest import manifest
from fedner.protocol.packing import PARCEL, is_wrapped, unwrap, wrap

tensors = st.one_of(
    arrays(np.float32, array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4)),
    arrays(np.int64, array_shapes(min_dims=0, min_side=0, max_dims=3, max_side=4)),
)
states = st.dictionaries(st.text(min_size=1, max_size=12), tensors, max_size=6)


@given(states, states)
def test_what_was_wrapped_comes_out_as_it_was(first, second):
    content = RecordDict(
        {
            "arrays": to_record(first),
            "control": to_record(second),
            "config": ConfigRecord({"round": 3}),
            "metrics": MetricRecord({"loss": 0.5}),
        }
    )
    before = manifest(content)
    wrapped = wrap(content)
    assert manifest(content) == before, "the content itself stays as it is"
    assert all(len(record) == 1 for record in wrapped.array_records.values() if len(record) > 0)
    back = unwrap(wrapped)
    assert list(back) == list(content)
    for key in ("arrays", "control"):
        assert list(back[key]) == list(content[key]), "order is part of a state"
        for name, array in content[key].items():
            assert back[key][name].data == array.data
            assert (back[key][name].dtype, tuple(back[key][name].shape)) == (array.dtype, tuple(array.shape))
            assert back[key][name].numpy().tobytes() == array.numpy().tobytes()
    assert manifest(back).digest == before.digest
    assert is_wrapped(wrapped) == (len(first) > 1 or len(second) > 1)
    assert not is_wrapped(back)


def test_every_tensor_of_a_large_state_is_one_piece_of_flowers():
    state = {f"layer.{number}.bias": np.zeros(8, np.float32) for number in range(200)}
    [array] = wrap(RecordDict({"arrays": to_record(state)}))["arrays"].values()
    assert len(array.children) == 1


def parcel(names: object = ("a", "b"), sizes: object = None, **more: object) -> RecordDict:
    """Return a parcel of two arrays whose outline says something else."""
    content = wrap(RecordDict({"arrays": to_record({"a": np.zeros(2, np.float32), "b": np.ones(3, np.float32)})}))
    right = content["arrays.outline"]
    outline = {"names": list(names) if isinstance(names, tuple) else names, "sizes": right["sizes"]}
    if sizes is not None:
        outline["sizes"] = sizes
    content["arrays.outline"] = ConfigRecord(outline)
    content.update(more)
    return content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (parcel(names=("a", "a")), "each once"),
        (parcel(names=("a",)), "each once"),
        (parcel(names=7), "each once"),
        (parcel(names=[1, 2]), "each once"),
        (parcel(sizes=[136, 141]), "do not fill"),
        (parcel(sizes=[-8, 284]), "do not fill"),
        (parcel(sizes=[10, 266]), "'a' is not in NumPy's format"),
        (parcel(sizes=["136", "140"]), "each once"),
        (parcel(arrays=ConfigRecord({})), "is no parcel"),
        (parcel(arrays=to_record({PARCEL: np.zeros(3, np.float32)})), "is no parcel"),
        (parcel(arrays=ArrayRecord({PARCEL: Array("uint8", (4,), "fedner.parcel", b"1234")})), "do not fill"),
    ],
)
def test_what_is_no_parcel_is_refused(content, reason):
    with pytest.raises(FederationError, match=reason):
        unwrap(content)


def test_a_parcel_with_a_pickle_inside_is_refused_unread():
    data = b"\x80\x04pickle" + bytes(20)
    content = RecordDict(
        {
            "arrays": ArrayRecord({PARCEL: Array("uint8", (len(data),), "fedner.parcel", data)}),
            "arrays.outline": ConfigRecord({"names": ["a"], "sizes": [len(data)]}),
        }
    )
    with pytest.raises(FederationError, match="NumPy's format"):
        unwrap(content)
