"""Flower's control API, as the coordinator calls it: start, list and stop runs, follow a log, list the nodes."""

import ssl
from collections.abc import Iterator

import httpx
from flwr.app import UserConfig
from flwr.cli.cli_client_interceptor import CliClientHttpInterceptor
from flwr.common.serde import fab_to_proto, user_config_to_proto
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    StartRunRequest,
    StopRunRequest,
    StreamLogsRequest,
)
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.error import FlowerError
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufRequestContext

from fedner.flower.app_bundle import app_bundle
from fedner.flower.runs import SubmittedRun, submitted_run


class _Bearer:
    """Shows the token with every request."""

    def __init__(self, token: str) -> None:
        self._token = token

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.headers["Authorization"] = f"Bearer {self._token}"
        return call_next(context)


class ControlApi:
    """A connection; its methods raise httpx.HTTPStatusError where the server refuses, httpx.TransportError else.

    Args:
        address: host:port of the server's control listener.
        tls: which servers are trusted.
        token: the coordinator's.
    """

    def __init__(self, address: str, tls: ssl.SSLContext, token: str) -> None:
        interceptors = [CliClientHttpInterceptor(), RuntimeVersionHttpInterceptor("fedner"), _Bearer(token)]
        self._client = ControlHttpClient(f"https://{address}", interceptors=interceptors, verify=tls)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def start(self, config: UserConfig) -> int:
        """Start a run of the installed fedner; return its number."""
        request = StartRunRequest(fab=fab_to_proto(app_bundle()), override_config=user_config_to_proto(config))
        return self._client.StartRun(request).run_id

    def stop(self, number: int) -> bool:
        """Stop a run; return whether it was running."""
        return self._client.StopRun(StopRunRequest(run_id=number)).success

    def logs(self, number: int) -> Iterator[str]:
        """Yield what a run's server app logs, until it ends."""
        for part in self._client.StreamLogs(StreamLogsRequest(run_id=number, after_timestamp=0.0)):
            yield part.log_output

    def runs(self, limit: int) -> list[SubmittedRun]:
        """Return the runs that were submitted last, the newest first."""
        runs = self._client.ListRuns(ListRunsRequest(limit=limit)).run_dict.values()
        found = (submitted_run(run.run_id, run.override_config["config"].string, run.status, run.pending_at)
                 for run in runs)  # fmt: skip
        return sorted(found, key=lambda run: run.submitted, reverse=True)

    def nodes(self) -> dict[int, str]:
        """Return the number of each registered node, and the name that its key is registered under."""
        nodes = self._client.ListNodes(ListNodesRequest()).nodes_info
        return {node.node_id: node.name for node in nodes if node.status != "unregistered"}


def refusal_text(body: str) -> str | None:
    """Return the sentence in the body of a refusal; None if there is none."""
    error = FlowerError.from_json(body)
    return error.message if error else None
