import gc
import weakref

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from fedner.data.labels import EntityType, LabelContract
from fedner.errors import FederationError
from fedner.metrics import Counts
from fedner.protocol import wire
from fedner.protocol.arrays import from_record, load_from_context, store_in_context, to_record
from fedner.protocol.auxiliary import CONTROL
from fedner.protocol.messages import (
    EvaluateReply,
    EvaluateRequest,
    Header,
    HelloReply,
    HelloRequest,
    TrainReply,
    TrainRequest,
)
from fedner.refusals import Origin, Refusal, RefusalCode
from fedner.tensors import digest

HEADER = Header(run="r", round=3, seed=2**62 + 1, contract="ab" * 32)
STATE = {
    "z.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.scalar": np.array(1.5, dtype=np.float32),
    "m.empty": np.zeros((0, 4), dtype=np.float32),
}


def asked(content: RecordDict, kind: str = "train") -> Message:
    return Message(content, 7, kind)


def answered(content: RecordDict) -> Message:
    return Message(content, reply_to=asked(RecordDict()))


def train_reply() -> TrainReply:
    return TrainReply(
        header=HEADER, started_from="5" * 64, arrays=STATE, num_examples=5, num_words=40, loss_sum=1.25, steps=2,
        seconds=0.5,
    )  # fmt: skip


def test_state_keeps_names_order_shapes_and_bits():
    back = from_record(to_record(STATE))
    assert list(back) == list(STATE)
    assert digest(back) == digest(STATE)


def test_flowers_own_reader_reads_what_we_write():
    for name, array in to_record(STATE).items():
        np.testing.assert_array_equal(array.numpy(), STATE[name])
        assert array.numpy().shape == STATE[name].shape


def test_we_read_what_flowers_own_writer_writes():
    theirs = ArrayRecord({name: Array(array) for name, array in STATE.items()})
    assert digest(from_record(theirs)) == digest(STATE)


def test_transposed_arrays_travel_by_value():
    turned = {"w": np.arange(6, dtype=np.float32).reshape(2, 3).T}
    np.testing.assert_array_equal(from_record(to_record(turned))["w"], turned["w"])


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY rest", to_record(STATE)["z.weight"].data[:-1]])
def test_bytes_that_do_not_fit_their_shape_are_refused(data: bytes):
    record = ArrayRecord({"w": Array("float32", (2, 3), "numpy.ndarray", data)})
    with pytest.raises(FederationError, match="'w'"):
        from_record(record)


def test_another_dtype_is_refused_by_name():
    with pytest.raises(FederationError, match=r"'w'.*float64"):
        from_record(ArrayRecord({"w": Array(np.zeros(2))}))
    with pytest.raises(FederationError, match=r"'w' as float32, got int64"):
        from_record(ArrayRecord({"w": Array(np.zeros(2, dtype=np.int64))}))


def test_requests_survive_the_wire():
    hello = HelloRequest(header=HEADER, config='{"a":1}')
    assert wire.read_hello_request(asked(wire.hello_request(hello), wire.HELLO)) == hello
    train = TrainRequest(
        header=HEADER, config="{}", state="5" * 64, arrays=STATE, best_rounds=(1, 2), auxiliary={CONTROL: STATE}
    )
    back = wire.read_train_request(asked(wire.train_request(train)))
    assert (back.header, back.config, digest(back.arrays)) == (HEADER, "{}", digest(STATE))
    assert back.best_rounds == (1, 2)
    assert back.state == "5" * 64
    assert {name: digest(state) for name, state in back.auxiliary.items()} == {CONTROL: digest(STATE)}
    bare = TrainRequest(header=HEADER, config="{}", state="5" * 64, arrays=STATE)
    plain = wire.read_train_request(asked(wire.train_request(bare)))
    assert (plain.best_rounds, plain.auxiliary) == ((), {})
    scoring = EvaluateRequest(header=HEADER, config="{}", arrays=STATE, state_round=3, split="test", by_document=True)
    seen = wire.read_evaluate_request(asked(wire.evaluate_request(scoring)))
    assert (seen.header, seen.split, seen.by_document) == (HEADER, "test", True)


def test_replies_survive_the_wire():
    back = wire.read_train_reply(answered(wire.train_reply(train_reply())))
    assert isinstance(back, TrainReply)
    assert (back.header, back.num_examples, back.num_words, back.loss_sum, back.steps) == (HEADER, 5, 40, 1.25, 2)
    documents = np.arange(12, dtype=np.int64).reshape(2, 2, 3)
    scored = EvaluateReply(
        header=HEADER, counts=Counts((1, 2), (3, 4), (5, 6)), loss_sum=2.0, num_words=9, seconds=0.1,
        document_counts=documents, unannotated=("DOSE",),
    )  # fmt: skip
    seen = wire.read_evaluate_reply(answered(wire.evaluate_reply(scored)))
    assert isinstance(seen, EvaluateReply)
    assert (seen.counts, seen.unannotated) == (scored.counts, ("DOSE",))
    np.testing.assert_array_equal(seen.document_counts, documents)


def test_hello_carries_the_whole_contract():
    contract = LabelContract("notes", 2, (EntityType("DRUG", "a medicine"), EntityType("DOSE")))
    hello = HelloReply(
        header=HEADER, site="north", contract=contract, fedner_version="1", flower_version="2",
        train_sentences=3, dev_sentences=2, test_sentences=1, num_sites=4,
    )  # fmt: skip
    assert wire.read_hello_reply(answered(wire.hello_reply(hello))) == hello


def test_another_protocol_version_is_refused():
    content = wire.hello_request(HelloRequest(header=HEADER, config="{}"))
    content.config_records["config"]["protocol"] = 99
    with pytest.raises(FederationError, match="protocol version 4, got 99"):
        wire.read_hello_request(asked(content))


@pytest.mark.parametrize("record", ["arrays", "config", "metrics"])
def test_a_reply_without_a_record_is_a_failure_of_the_site(record: str):
    content = wire.train_reply(train_reply())
    del content[record]
    back = wire.read_train_reply(answered(content))
    assert isinstance(back, Refusal)
    assert f"'{record}'" in back.sentence


def test_an_ill_typed_value_is_a_failure_that_names_the_key():
    content = wire.train_reply(train_reply())
    content["metrics"] = MetricRecord({"num-examples": 5.0})
    assert "'num-examples' as int, got float" in str(wire.read_train_reply(answered(content)))


def test_negative_counts_are_a_failure():
    reply = EvaluateReply(header=HEADER, counts=Counts((1,), (0,), (0,)), loss_sum=0.0, num_words=1, seconds=0.0)
    content = wire.evaluate_reply(reply)
    content.metric_records["metrics"]["tp"] = [-1]
    assert isinstance(wire.read_evaluate_reply(answered(content)), Refusal)


def test_document_counts_of_another_shape_are_a_failure():
    reply = EvaluateReply(
        header=HEADER, counts=Counts((1,), (0,), (0,)), loss_sum=0.0, num_words=1, seconds=0.0,
        document_counts=np.zeros((4, 2, 3), dtype=np.int64),
    )  # fmt: skip
    back = wire.read_evaluate_reply(answered(wire.evaluate_reply(reply)))
    assert isinstance(back, Refusal)
    assert "(documents, 1, 3)" in back.sentence


def test_a_refusal_of_a_site_arrives_as_it_was_sent():
    sent = Refusal(RefusalCode.data, "the site's text cannot be read")
    assert wire.read_train_reply(answered(wire.refusal(sent))) == sent


@pytest.mark.parametrize("code", ["silent", "gone", "spare", "node-lost", "process-failed", "flower-3", "", "no such"])
def test_a_site_cannot_choose_a_code_that_is_not_its_own(code: str):
    content = RecordDict({"failure": ConfigRecord({"code": code, "sentence": "x"})})
    assert wire.read_train_reply(answered(content)) == Refusal(RefusalCode.other, "x", Origin.site)


def test_exception_text_of_a_site_process_is_not_kept():
    secret = Message(Error(code=2, reason="KeyError: 'Mr Smith'"), reply_to=asked(RecordDict()))
    back = wire.read_train_reply(secret)
    assert isinstance(back, Refusal)
    assert (back.code, back.origin) == (RefusalCode.process_failed, Origin.transport)
    assert "Smith" not in str(back)


def test_arrays_stay_out_of_representations():
    assert "arrays" not in repr(train_reply())


def test_a_sites_memory_survives_in_flowers_context_state():
    memory = RecordDict()
    assert load_from_context(memory, "training") is None
    store_in_context(
        memory, "training", {"position": np.array(7, dtype=np.int64), "exp_avg/w": np.ones(3, dtype=np.float32)}
    )
    kept = load_from_context(memory, "training")
    assert kept is not None
    assert int(kept["position"]) == 7
    np.testing.assert_array_equal(kept["exp_avg/w"], np.ones(3))


def test_a_reply_that_was_read_is_let_go_of_without_pythons_collector():
    collecting = gc.isenabled()
    gc.disable()
    try:
        content = wire.train_reply(train_reply())
        message = answered(content)
        alive = [weakref.ref(content), weakref.ref(content["arrays"])]
        read = wire.read_train_reply(message)
        assert digest(read.arrays) == digest(STATE)
        del content, message
        assert [reference() for reference in alive] == [None, None]
    finally:
        if collecting:
            gc.enable()


def test_unknown_records_are_passed_over():
    content = wire.train_reply(train_reply())
    content["later"] = ConfigRecord({"new": 1})
    assert isinstance(wire.read_train_reply(answered(content)), TrainReply)
