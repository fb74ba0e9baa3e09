"""Messages as bytes, and their ids, which Flower's public API has no way to set."""

from flwr.app import Message, RecordDict
from flwr.app.message import make_message
from flwr.common.serde import message_from_proto, message_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage


def set_message_id(message: Message, identity: str) -> None:
    """Give a message its id when it is sent, as Flower's own grids do."""
    message.metadata.__dict__["_message_id"] = identity


def message_to_bytes(message: Message, content: RecordDict | None) -> bytes:
    """Serialise a message with `content` in the place of its own; None where it has none."""
    error = message.error if message.has_error() else None
    head = make_message(metadata=message.metadata, content=content, error=error)
    return message_to_proto(head).SerializeToString()


def message_from_bytes(content: bytes) -> Message:
    """Read what `message_to_bytes` returned."""
    return message_from_proto(ProtoMessage.FromString(content))
