"""The work of a SuperNode, for a process of ours in the place of `flower-superexec` and `flwr-clientapp`.

Both of those run what the server sent. Here a task is a message and the bundle it came with, as bytes.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from flwr.app import Context, Message
from flwr.common.constant import SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest  # pyright: ignore[reportMissingModuleSource]
from flwr.supercore.app_utils import start_parent_process_monitor
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.inflatable.inflatable_utils import ObjectPushError
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.protobuf.client import ProtobufClientInterceptor
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

__all__ = ["PUSHES", "Task", "TaskSource", "push_reply", "run_task", "start_parent_process_monitor"]

PUSHES = 5
"""How often a reply is handed to the SuperNode at most."""
_ACQUIRE = frozenset({"/flwr.proto.Runtime/AcquireTask"})
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """A message to a site's app.

    `app` (publisher/name), `version` and `digest` (SHA-256, hex) are the server's claims of the app it came with, and
    `bundle` the app itself, which nobody has unpacked.
    """

    message: Message
    context: Context
    app: str
    version: str
    digest: str
    bundle: bytes


class TaskSource:
    """Asks a SuperNode for tasks of client apps, and of no other kind.

    Args:
        address: host:port of its runtime API.
        secret: what it wants to be shown, None for nothing.
    """

    def __init__(self, address: str, secret: bytes | None) -> None:
        interceptors: list[ProtobufClientInterceptor] = [RuntimeVersionHttpInterceptor(component_name="SuperExec")]
        if secret is not None:
            interceptors.append(SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=_ACQUIRE))
        self._client = _client(address, interceptors)

    def acquire(self) -> str | None:
        """Return the token of the next task, for `run_task`; None if there is none yet."""
        taken = self._client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
        return taken.token if taken.HasField("task") and taken.token else None


def run_task(address: str, token: str, answer: Callable[[Task], Message]) -> None:
    """Pull one task, answer its message, push the reply; what goes wrong is logged here and ends that task alone."""
    version = RuntimeVersionHttpInterceptor(component_name="flwr-clientapp")
    client = _client(address, [version, RuntimeTokenHttpInterceptor(token)])
    heartbeat = HeartbeatSender(make_task_heartbeat_fn_http(client))
    context: Context | None = None
    status, details = SubStatus.FAILED, "the site's process failed; its own log says why"
    try:
        heartbeat.start()
        message, context, run, fab = pull_task_input(client)
        # The run's hash is what the SuperLink holds the run to; the bundle came by itself and has to fit it.
        digest = run.fab_hash or fab.hash_str
        reply = answer(Task(message, context, run.fab_id, run.fab_version, digest, fab.content))
        push_reply(client, reply, context)
        status, details = SubStatus.COMPLETED, ""
    except Exception:  # one task must not end the process that the next ones need
        _LOG.exception("a task of the SuperNode failed")
    finally:
        push_task_output(client, context, status, details)
        if heartbeat.is_running:
            heartbeat.stop()
        client.close()


def push_reply(client: RuntimeHttpClient, reply: Message, context: Context) -> None:
    """Hand a reply to the SuperNode, again if that breaks off; it asks only for the pieces that it lacks.

    Flower sends a piece again when the answer to it was lost, and takes the refusal of one that lies there already for
    a failure. Left at that, the SuperNode would wait for the other pieces for ever, and answer nothing any more.

    Raises:
        ObjectPushError: it broke off every time.
    """
    for left in reversed(range(PUSHES)):
        try:
            return push_message(client, reply, context)
        except ObjectPushError:
            if left == 0:
                raise
            _LOG.warning("a reply was not taken whole; handing over the rest")


def _client(address: str, interceptors: list[ProtobufClientInterceptor]) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,  # loopback; the secret and the tokens keep other users of the machine away
        root_certificates=None,
        interceptors=interceptors,
        retry_invoker=make_simple_http_retry_invoker(),
    )
