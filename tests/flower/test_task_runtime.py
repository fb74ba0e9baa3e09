"""How a site's process hands its replies to the SuperNode, with Flower's own store on the other side."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, Context, Message, RecordDict
from flwr.proto.message_pb2 import PushObjectRequest, PushObjectResponse
from flwr.proto.runtime_pb2 import PushAppMessagesRequest, PushAppMessagesResponse
from flwr.proto.task_pb2 import Task
from flwr.supercore.object_store.in_memory_object_store import InMemoryObjectStore
from flwr.supernode.nodestate.in_memory_nodestate import InMemoryNodeState
from flwr.supernode.servicer.runtime import runtime_handlers

from fedner.flower.task_runtime import PUSHES, push_reply


@dataclass
class Loopback:
    """A SuperNode without the network between; the answers to some pieces are lost, so that they are sent again."""

    lost: int
    state: InMemoryNodeState = field(default_factory=lambda: InMemoryNodeState(InMemoryObjectStore()))
    task: Task = field(default_factory=Task)

    def PushMessages(self, request: PushAppMessagesRequest) -> PushAppMessagesResponse:  # noqa: N802 - Flower calls it so
        return runtime_handlers.push_messages(request, self.state, self.task)

    def PushObject(self, request: PushObjectRequest) -> PushObjectResponse:  # noqa: N802
        taken = runtime_handlers.push_object(request, self.state, self.task)
        if self.lost == 0:
            return taken
        self.lost -= 1
        return runtime_handlers.push_object(request, self.state, self.task)


def reply_to(supernode: Loopback) -> Message:
    asked = Message(RecordDict(), dst_node_id=1, message_type="train")
    asked.metadata.__dict__["_message_id"] = "asked"
    supernode.task.run_id = asked.metadata.run_id
    supernode.state.record_message_processing_start("asked")
    arrays = {f"layer.{number}": Array(np.full(4, number, np.float32)) for number in range(12)}
    return Message(RecordDict({"arrays": ArrayRecord(arrays)}), reply_to=asked)


CONTEXT = Context(run_id=0, node_id=1, node_config={}, state=RecordDict(), run_config={})


@pytest.mark.parametrize("lost", [0, 1, PUSHES - 1])
def test_a_reply_is_whole_at_the_supernode_though_answers_to_its_pieces_were_lost(lost):
    supernode = Loopback(lost)
    push_reply(supernode, reply_to(supernode), CONTEXT)
    (message,) = supernode.state.get_messages_legacy(is_reply=True)
    store = supernode.state.object_store
    pieces = [message.metadata.message_id]
    for piece in pieces:
        assert store.get(piece), "a piece is missing"
        pieces += [child.object_id for child in store.get_object_tree(piece).children]
    assert len(pieces) > 12
