"""Our messages <-> Flower records; no other file knows a record key.

A request is a `config` record with the header and the resolved run config, and an `arrays` record with the global
state. A reply is a `config` record with the header, a `metrics` record with sums and counts, and `arrays`. A site that
could not answer sends a `failure` record with a code and a safe sentence, never exception text. Between machines a
record of several arrays travels as one parcel (`parcel`).
"""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from fedner.data.labels import EntityType, LabelContract
from fedner.errors import FederationError, FednerError
from fedner.metrics import Counts
from fedner.protocol.arrays import from_record, load_array, to_record
from fedner.protocol.auxiliary import AUXILIARIES, AuxiliaryStates
from fedner.protocol.messages import (
    EvaluateReply,
    EvaluateRequest,
    Header,
    HelloReply,
    HelloRequest,
    TrainReply,
    TrainRequest,
)
from fedner.refusals import Origin, Refusal, RefusalCode, code_of_site
from fedner.tensors import State

PROTOCOL = 4
"""Version of everything below; raised when a message changes in a way that an older peer would misread."""

HELLO = "query.hello"
TRAIN = "train"
EVALUATE = "evaluate"

_AUXILIARY = "auxiliary."
"""Begin of the records of tensors that travel beside the model's."""

_NODE_LOST = frozenset({3, 4, 5})
"""Flower's codes for a node that has gone, or a message that it took along."""

_Scalar = TypeVar("_Scalar", str, int, float)
_Reply = TypeVar("_Reply")
_Record = TypeVar("_Record", ArrayRecord, ConfigRecord, MetricRecord)


def hello_request(request: HelloRequest) -> RecordDict:
    """Write a handshake request."""
    return RecordDict({"config": _header(request.header, config=request.config)})


def train_request(request: TrainRequest) -> RecordDict:
    """Write a training request."""
    config = _header(request.header, config=request.config, state=request.state)
    config["best-rounds"] = list(request.best_rounds)
    content = RecordDict({"arrays": to_record(request.arrays), "config": config})
    return _with_auxiliary(content, request.auxiliary)


def evaluate_request(request: EvaluateRequest) -> RecordDict:
    """Write an evaluation request."""
    config = _header(request.header, config=request.config, split=request.split)
    config["by-document"] = request.by_document
    config["state-round"] = request.state_round
    return RecordDict({"arrays": to_record(request.arrays), "config": config})


def read_hello_request(message: Message) -> HelloRequest:
    """Read a handshake request.

    Raises:
        FederationError: another protocol version, or a record or value is missing or ill-typed. So do all readers.
    """
    config = _config(message)
    return HelloRequest(header=_read_header(config), config=_value(config, "config", str))


def read_train_request(message: Message) -> TrainRequest:
    """Read a training request."""
    config = _config(message)
    return TrainRequest(
        header=_read_header(config),
        config=_value(config, "config", str),
        state=_value(config, "state", str),
        arrays=from_record(_arrays(message)),
        best_rounds=tuple(_list(config, "best-rounds", int)),
        auxiliary=_auxiliary(message),
    )


def read_evaluate_request(message: Message) -> EvaluateRequest:
    """Read an evaluation request."""
    config = _config(message)
    return EvaluateRequest(
        header=_read_header(config),
        config=_value(config, "config", str),
        arrays=from_record(_arrays(message)),
        state_round=_value(config, "state-round", int),
        split=_value(config, "split", str),
        by_document=config.get("by-document") is True,
    )


def hello_reply(reply: HelloReply) -> RecordDict:
    """Write a site's introduction."""
    contract = reply.contract
    config = _header(reply.header, site=reply.site, fedner=reply.fedner_version, flower=reply.flower_version)
    config["contract-name"] = contract.name
    config["contract-version"] = contract.version
    config["contract-types"] = [entity.name for entity in contract.types]
    config["contract-meanings"] = [entity.meaning for entity in contract.types]
    config["declines"] = list(reply.declines)
    metrics = _sent(
        {
            "train-sentences": reply.train_sentences,
            "dev-sentences": reply.dev_sentences,
            "test-sentences": reply.test_sentences,
            "num-sites": reply.num_sites,
        }
    )
    return RecordDict({"config": config, "metrics": metrics})


def train_reply(reply: TrainReply) -> RecordDict:
    """Write a training reply."""
    metrics = MetricRecord(
        {
            "num-examples": reply.num_examples,
            "num-words": reply.num_words,
            "loss-sum": reply.loss_sum,
            "steps": reply.steps,
            "seconds": reply.seconds,
        }
    )
    config = _header(reply.header, **{"started-from": reply.started_from})
    content = RecordDict({"arrays": to_record(reply.arrays), "config": config, "metrics": metrics})
    return _with_auxiliary(content, reply.auxiliary)


def evaluate_reply(reply: EvaluateReply) -> RecordDict:
    """Write an evaluation reply."""
    metrics = MetricRecord(
        {
            "tp": list(reply.counts.tp),
            "fp": list(reply.counts.fp),
            "fn": list(reply.counts.fn),
            "seconds": reply.seconds,
            **_sent({"loss-sum": reply.loss_sum, "num-words": reply.num_words}),
        }
    )
    config = _header(reply.header)
    config["withheld"] = list(reply.withheld)
    config["unannotated"] = list(reply.unannotated)
    content = RecordDict({"config": config, "metrics": metrics})
    if reply.document_counts is not None:
        content["arrays"] = to_record({"document-counts": reply.document_counts})
    return content


def refusal(reason: Refusal) -> RecordDict:
    """Write why a site could not answer."""
    return RecordDict({"failure": ConfigRecord({"code": reason.code.value, "sentence": reason.sentence})})


def refusal_of(content: RecordDict) -> Refusal | None:
    """Return why a site could not answer, or None for any other content; the code is read into the closed set.

    Raises:
        FederationError: it is no such record.
    """
    record = _record(content, "failure", ConfigRecord)
    if record is None:
        return None
    return Refusal(code_of_site(_value(record, "code", str)), _value(record, "sentence", str), Origin.site)


def read_header(message: Message) -> Header:
    """Read a message's header."""
    return _read_header(_config(message))


def read_hello_reply(message: Message) -> HelloReply | Refusal:
    """Read a site's introduction, or return a refusal if it cannot be read; so do all readers of replies."""
    return _read_reply(message, _hello_reply)


def read_train_reply(message: Message) -> TrainReply | Refusal:
    """Read a training reply."""
    return _read_reply(message, _train_reply)


def read_evaluate_reply(message: Message) -> EvaluateReply | Refusal:
    """Read an evaluation reply."""
    return _read_reply(message, _evaluate_reply)


def _read_reply(message: Message, read: Callable[[Message], _Reply]) -> _Reply | Refusal:
    if message.has_error():
        # The reason is exception text of the site's process; only Flower's number is safe to keep.
        number = message.error.code
        if number in _NODE_LOST:
            return Refusal(RefusalCode.node_lost, f"Flower lost its node or message (code {number})", Origin.transport)
        sentence = f"the site's process failed outside fedner (Flower's code {number}); its own log says why"
        return Refusal(RefusalCode.process_failed, sentence, Origin.transport)
    try:
        return refusal_of(message.content) or read(message)
    except FednerError as error:
        return Refusal(error.code, str(error), Origin.server)


def _hello_reply(message: Message) -> HelloReply:
    config, metrics = _config(message), _metrics(message)
    meanings = _list(config, "contract-meanings", str)
    names = _list(config, "contract-types", str)
    if len(names) != len(meanings):
        raise FederationError(f"reply: expected one meaning per entity type, got {len(names)} and {len(meanings)}")
    return HelloReply(
        header=_read_header(config),
        site=_value(config, "site", str),
        contract=LabelContract(
            name=_value(config, "contract-name", str),
            version=_value(config, "contract-version", int),
            types=tuple(EntityType(name, meaning) for name, meaning in zip(names, meanings, strict=True)),
        ),
        fedner_version=_value(config, "fedner", str),
        flower_version=_value(config, "flower", str),
        train_sentences=_optional(metrics, "train-sentences", int),
        dev_sentences=_optional(metrics, "dev-sentences", int),
        test_sentences=_optional(metrics, "test-sentences", int),
        declines=tuple(_list(config, "declines", str)),
        num_sites=_optional(metrics, "num-sites", int),
    )


def _train_reply(message: Message) -> TrainReply:
    config, metrics = _config(message), _metrics(message)
    return TrainReply(
        header=_read_header(config),
        started_from=_value(config, "started-from", str),
        arrays=from_record(_arrays(message)),
        num_examples=_value(metrics, "num-examples", int),
        num_words=_value(metrics, "num-words", int),
        loss_sum=_value(metrics, "loss-sum", float),
        steps=_value(metrics, "steps", int),
        seconds=_value(metrics, "seconds", float),
        auxiliary=_auxiliary(message),
    )


def _evaluate_reply(message: Message) -> EvaluateReply:
    metrics = _metrics(message)
    counts = [tuple(_list(metrics, key, int)) for key in ("tp", "fp", "fn")]
    documents = _record(message.content, "arrays", ArrayRecord)
    return EvaluateReply(
        header=_read_header(_config(message)),
        counts=Counts(counts[0], counts[1], counts[2]),
        loss_sum=_optional(metrics, "loss-sum", float),
        num_words=_optional(metrics, "num-words", int),
        seconds=_value(metrics, "seconds", float),
        withheld=tuple(_list(_config(message), "withheld", str)),
        document_counts=None if documents is None else _document_counts(documents, len(counts[0])),
        unannotated=tuple(_list(_config(message), "unannotated", str)),
    )


def _document_counts(record: ArrayRecord, num_types: int) -> NDArray[np.int64]:
    if "document-counts" not in record:
        raise FederationError("reply: expected an array 'document-counts', got none")
    array = load_array("document-counts", record["document-counts"])
    if array.dtype != np.int64 or array.ndim != 3 or array.shape[1:] != (num_types, 3):
        raise FederationError(
            f"reply: expected counts of shape (documents, {num_types}, 3) as int64, got {array.shape} {array.dtype}"
        )
    return array.astype(np.int64, copy=False)


def _header(header: Header, **more: str) -> ConfigRecord:
    record = ConfigRecord({"protocol": PROTOCOL, "run": header.run, "round": header.round})
    record["seed"] = header.seed
    record["contract"] = header.contract
    for key, value in more.items():
        record[key] = value
    return record


def _read_header(config: ConfigRecord) -> Header:
    protocol = _value(config, "protocol", int)
    if protocol != PROTOCOL:
        raise FederationError(
            f"expected protocol version {PROTOCOL}, got {protocol}; install the same fedner everywhere"
        )
    return Header(
        run=_value(config, "run", str),
        round=_value(config, "round", int),
        seed=_value(config, "seed", int),
        contract=_value(config, "contract", str),
    )


def _record(content: RecordDict, key: str, kind: type[_Record]) -> _Record | None:
    # Not by Flower's `array_records` and its like: each look at one makes a cycle of references, so that the whole
    # message, hundreds of megabytes, stays in memory until Python's collector comes by.
    record = content.get(key)
    return record if isinstance(record, kind) else None


def _config(message: Message) -> ConfigRecord:
    record = _record(message.content, "config", ConfigRecord)
    if record is None:
        raise FederationError("message: expected a record 'config', got none")
    return record


def _metrics(message: Message) -> MetricRecord:
    record = _record(message.content, "metrics", MetricRecord)
    if record is None:
        raise FederationError("reply: expected a record 'metrics', got none")
    return record


def _arrays(message: Message) -> ArrayRecord:
    record = _record(message.content, "arrays", ArrayRecord)
    if record is None:
        raise FederationError("message: expected a record 'arrays', got none")
    return record


def _auxiliary(message: Message) -> dict[str, State]:
    return {
        name: from_record(record)
        for name in AUXILIARIES
        if (record := _record(message.content, f"{_AUXILIARY}{name}", ArrayRecord)) is not None
    }


def _with_auxiliary(content: RecordDict, states: AuxiliaryStates) -> RecordDict:
    for name, state in states.items():
        content[f"{_AUXILIARY}{name}"] = to_record(state)
    return content


def _value(record: ConfigRecord | MetricRecord, key: str, wanted: type[_Scalar]) -> _Scalar:
    value = record.get(key)
    if type(value) is not wanted:
        raise FederationError(f"message: expected '{key}' as {wanted.__name__}, got {type(value).__name__}")
    return cast(_Scalar, value)


def _optional(record: ConfigRecord | MetricRecord, key: str, wanted: type[_Scalar]) -> _Scalar | None:
    return _value(record, key, wanted) if key in record else None


def _sent(numbers: Mapping[str, int | float | None]) -> MetricRecord:
    return MetricRecord({key: number for key, number in numbers.items() if number is not None})


def _list(record: ConfigRecord | MetricRecord, key: str, wanted: type[_Scalar]) -> list[_Scalar]:
    values = record.get(key)
    if not isinstance(values, list):
        raise FederationError(f"message: expected '{key}' as a list, got {type(values).__name__}")
    if any(type(value) is not wanted for value in values):
        raise FederationError(f"message: expected '{key}' as a list of {wanted.__name__} only")
    return cast(list[_Scalar], values)
