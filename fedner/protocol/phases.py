"""The phases of a run: each is declared once, with the Flower message that asks for it and its reader of replies."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from flwr.app import Message

from fedner.protocol import wire
from fedner.protocol.messages import EvaluateReply, HelloReply, TrainReply
from fedner.refusals import Refusal

Reply = TypeVar("Reply", HelloReply, TrainReply, EvaluateReply)


@dataclass(frozen=True)
class Phase(Generic[Reply]):
    """One kind of request and the replies to it.

    Args:
        name: as in config, history and site policies.
        message_type: Flower's, by which it finds the handler at the site.
        read: reader of a reply; what cannot be read is a refusal.
        needs_everybody: whether the phase waits for slow sites as long as it may; scores are compared from round to
            round, so that they should be of the same sites.
    """

    name: str
    message_type: str
    read: Callable[[Message], Reply | Refusal] = field(repr=False)
    needs_everybody: bool = False


HELLO = Phase("hello", wire.HELLO, wire.read_hello_reply)
TRAIN = Phase("train", wire.TRAIN, wire.read_train_reply)
DEV = Phase("dev", wire.EVALUATE, wire.read_evaluate_reply, needs_everybody=True)
TEST = Phase("test", wire.EVALUATE, wire.read_evaluate_reply, needs_everybody=True)

AnyPhase = Phase[HelloReply] | Phase[TrainReply] | Phase[EvaluateReply]
