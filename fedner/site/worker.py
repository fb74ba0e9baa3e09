"""The process that works at a site: it takes the SuperNode's tasks and runs the installed fedner, never what was sent.

Flower's own `flwr-clientapp` unpacks the bundle that the server sent, puts its folder on `sys.path` and imports the
client app that its pyproject.toml names: whoever may submit a run may then run any code at every site. Started with
`--isolation process` flower-supernode leaves its tasks to another process; this is that process. It answers client app
tasks only (a server could ask for an agent app too), looks into the bundle without unpacking it (`bundle`), and calls
the one client app that it imported itself before any message came.

Model, encodings and imports stay warm between messages.
"""

import argparse
import logging
import signal
import sys
import time
from pathlib import Path

from flwr.app import Context, Message

from fedner.audit.entries import AppRefused
from fedner.flower.polling import look_again_soon
from fedner.flower.task_runtime import TaskSource, run_task, start_parent_process_monitor
from fedner.protocol import wire
from fedner.refusals import Refusal, RefusalCode
from fedner.site.app import app as installed_app
from fedner.site.app_check import AnnouncedApp, judge_bundle
from fedner.site.guard import guard_of

POLL_SECONDS = 0.5
_LOG = logging.getLogger(__name__)


def serve(runtime_api_address: str, secret: bytes | None) -> None:
    """Take tasks and answer them, one at a time, until the process is ended."""
    source = TaskSource(runtime_api_address, secret)
    while True:
        token = source.acquire()
        if token is None:
            time.sleep(POLL_SECONDS)
        else:
            run_task(
                runtime_api_address,
                token,
                lambda task: answer(
                    task.message, task.context, AnnouncedApp(task.app, task.version, task.digest), task.bundle
                ),
            )


def answer(message: Message, context: Context, announced: AnnouncedApp, bundle: bytes) -> Message:
    """Answer one message with fedner's own app, or refuse it for the app that it came with."""
    try:
        guard = guard_of(context)
        refusal = judge_bundle(bundle, announced, guard.apps)
        if refusal is None:
            return installed_app(message=message, context=context)
        _LOG.warning("this site refuses the app %s %s: %s", announced.name, announced.version, refusal.sentence)
        entry = AppRefused(
            message=message.metadata.message_id,
            flower_run=str(message.metadata.run_id),
            app=announced.name,
            version=announced.version,
            digest=announced.digest,
            reason=refusal.sentence,
        )
        guard.record(entry)
    except Exception:  # exception text may quote the site's text and must not leave it, as it would through Flower
        _LOG.exception("this site could not answer a %s request", message.metadata.message_type)
        refusal = Refusal(RefusalCode.internal, "the site could not answer; its own log says more")
    return Message(wire.refusal(refusal), reply_to=message)


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
    serve(given.runtime_api_address, None if secret is None else secret.read_bytes())


if __name__ == "__main__":
    main()
