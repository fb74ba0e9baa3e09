"""The process that works at a site: it takes the SuperNode's tasks and runs the installed fedner, never what was sent.

Flower's own `flwr-clientapp` unpacks the bundle that the server sent, puts its folder on `sys.path` and imports the
client app that its pyproject.toml names: whoever may submit a run may then run any code at every site. Started with
`--isolation process` flower-supernode leaves its tasks to another process; this is that process. It answers client app
tasks only (a server could ask for an agent app too), looks into the bundle without unpacking it (`bundle`), and calls
the one client app that it imported itself before any message came.

Model, encodings and imports stay warm between messages. Of Flower it uses what `flwr-clientapp` and `flower-superexec`
are made of, which is no public API: all of it is in this file, and tests/end_to_end holds it to real processes.
"""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

from flwr.app import Context, Message
from flwr.common.constant import SubStatus
from flwr.proto.runtime_pb2 import AcquireTaskRequest  # pyright: ignore[reportMissingModuleSource]
from flwr.supercore.app_utils import start_parent_process_monitor
from flwr.supercore.auth import load_superexec_auth_secret
from flwr.supercore.constant import TaskType
from flwr.supercore.fab import Fab
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.inflatable.inflatable_utils import ObjectPushError
from flwr.supercore.interceptors import (
    RuntimeTokenHttpInterceptor,
    RuntimeVersionHttpInterceptor,
    SuperExecAuthHttpInterceptor,
)
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.run import Run
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from fedner.audit.entries import AppRefused
from fedner.config.policy import AppsPolicy
from fedner.flower.polling import look_again_soon
from fedner.protocol import wire
from fedner.refusals import Refusal, RefusalCode
from fedner.site.app import app as installed_app
from fedner.site.app_check import ToldApp, judge_bundle
from fedner.site.guard import Gate, gate_of
from fedner.site.trail import trail_of

POLL_SECONDS = 0.5
PUSHES = 5
"""How often a reply is handed to the SuperNode at most."""
_ACQUIRE = frozenset({"/flwr.proto.Runtime/AcquireTask"})
_LOG = logging.getLogger(__name__)


def serve(runtime_api_address: str, secret: bytes | None) -> None:
    """Take tasks and answer them, one at a time, until the process is ended."""
    taking = _client(runtime_api_address, RuntimeVersionHttpInterceptor(component_name="SuperExec"))
    if secret is not None:
        auth = SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=_ACQUIRE)
        taking = _client(runtime_api_address, RuntimeVersionHttpInterceptor(component_name="SuperExec"), auth)
    request = AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP])
    while True:
        taken = taking.AcquireTask(request)
        if taken.HasField("task") and taken.token:
            _work(runtime_api_address, taken.token)
        else:
            time.sleep(POLL_SECONDS)


def answer(message: Message, context: Context, told: ToldApp, bundle: bytes) -> Message:
    """Answer one message with fedner's own app, or refuse it for the app that it came with."""
    try:
        gate = gate_of(context)
        apps = AppsPolicy() if gate.site is None else gate.site.policy.apps
        refusal = judge_bundle(bundle, told, apps)
        if refusal is None:
            return installed_app(message=message, context=context)
        _LOG.warning("this site refuses the app %s %s: %s", told.name, told.version, refusal.sentence)
        _write_down(gate, message, told, refusal)
    except Exception:  # exception text may quote the site's text and must not leave it, as it would through Flower
        _LOG.exception("this site could not answer a %s request", message.metadata.message_type)
        refusal = Refusal(RefusalCode.internal, "the site could not answer; its own log says more")
    return Message(wire.refusal(refusal), reply_to=message)


def _write_down(gate: Gate, message: Message, told: ToldApp, refusal: Refusal) -> None:
    if gate.site is not None:
        entry = AppRefused(
            message=message.metadata.message_id,
            flower_run=str(message.metadata.run_id),
            app=told.name,
            version=told.version,
            digest=told.digest,
            reason=refusal.sentence,
        )
        trail_of(gate.site).append(entry)


def _work(address: str, token: str) -> None:
    """Pull one task's message, answer it, push the answer."""
    version = RuntimeVersionHttpInterceptor(component_name="flwr-clientapp")
    client = _client(address, version, RuntimeTokenHttpInterceptor(token))
    heartbeat = HeartbeatSender(make_task_heartbeat_fn_http(client))
    context: Context | None = None
    status, details = SubStatus.FAILED, "the site's process failed; its own log says why"
    try:
        heartbeat.start()
        message, context, run, fab = pull_task_input(client)
        reply = answer(message, context, _told(run, fab), fab.content)
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


def _told(run: Run, fab: Fab) -> ToldApp:
    # The run's hash is what the SuperLink holds the run to; the bundle came by itself and has to fit it.
    return ToldApp(name=run.fab_id, version=run.fab_version, digest=run.fab_hash or fab.hash_str)


def _client(address: str, *interceptors: object) -> RuntimeHttpClient:
    return RuntimeHttpClient.from_server_address(
        server_address=address,
        insecure=True,  # loopback; the secret and the tokens keep other users of the machine away
        root_certificates=None,
        interceptors=list(interceptors),  # pyright: ignore[reportArgumentType]
        retry_invoker=make_simple_http_retry_invoker(),
    )


def _leave(number: int, frame: object) -> None:
    sys.exit(0)


def main() -> None:
    """Run as `python -P -m fedner.site.worker`."""
    parser = argparse.ArgumentParser(description="Work at a site, beside flower-supernode --isolation process")
    parser.add_argument("--runtime-api-address", required=True, help="the SuperNode's, host:port on this machine")
    parser.add_argument("--superexec-auth-secret-file", type=Path, help="the SuperNode's secret")
    parser.add_argument("--parent-pid", type=int, help="end when this process has")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _leave)
    if given.parent_pid is not None:
        start_parent_process_monitor(given.parent_pid)
    look_again_soon()
    secret = given.superexec_auth_secret_file
    serve(given.runtime_api_address, None if secret is None else load_superexec_auth_secret(secret_file=str(secret)))


if __name__ == "__main__":
    main()
