"""Each internal name of Flower that fedner uses is there, as it is used; a new version of Flower fails here first."""

import dataclasses
import inspect
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

from fedner.flower.polling import FIRST_SECONDS, LONGEST_SECONDS

PINNED = "1.41.0"

FUNCTIONS: dict[tuple[str, str], list[str]] = {
    ("flwr.app.message", "make_message"): ["metadata", "content", "error"],
    ("flwr.cli.build", "build_fab_from_files"): ["files"],
    ("flwr.cli.flower_config", "write_superlink_connection"): ["connection"],
    ("flwr.common.serde", "fab_to_proto"): ["fab"],
    ("flwr.common.serde", "message_from_proto"): ["message_proto"],
    ("flwr.common.serde", "message_to_proto"): ["message"],
    ("flwr.common.serde", "user_config_to_proto"): ["user_config"],
    ("flwr.supercore.app_utils", "start_parent_process_monitor"): ["parent_pid"],
    ("flwr.supercore.credential_store", "get_credential_store"): [],
    ("flwr.supercore.heartbeat", "make_task_heartbeat_fn_http"): ["client"],
    ("flwr.supercore.primitives.asymmetric", "bytes_to_public_key"): ["public_key_bytes"],
    ("flwr.supercore.primitives.asymmetric", "public_key_to_bytes"): ["public_key"],
    ("flwr.supercore.primitives.asymmetric", "sign_message"): ["private_key", "message"],
    ("flwr.supercore.primitives.asymmetric", "verify_signature"): ["public_key", "message", "signature"],
    ("flwr.supercore.retry", "make_simple_http_retry_invoker"): [],
    ("flwr.superlink.main", "create_app"): ["config", "superlink_lifespan_class"],
    ("flwr.supernode.main", "create_app"): ["state_factory", "superexec_auth_secret"],
    ("flwr.supernode.runtime.run_clientapp", "pull_task_input"): ["client"],
    ("flwr.supernode.runtime.run_clientapp", "push_message"): ["client", "message", "context"],
    ("flwr.supernode.runtime.run_clientapp", "push_task_output"): ["client", "context", "sub_status", "details"],
}
"""Function -> its parameters, in order."""

METHODS: dict[tuple[str, str, str], list[str]] = {
    ("flwr.cli.cli_client_interceptor", "CliClientHttpInterceptor", "intercept"): ["self", "context", "call_next"],
    ("flwr.cli.typing", "SuperLinkConnection", "__init__"): [
        "self", "name", "address", "root_certificates", "insecure", "federation", "options",
    ],
    ("flwr.server.superlink.linkstate", "LinkState", "create_node"): [
        "self", "owner_aid", "owner_name", "public_key", "heartbeat_interval", "location", "name",
    ],
    ("flwr.server.superlink.linkstate", "LinkState", "delete_node"): ["self", "owner_aid", "node_id"],
    ("flwr.server.superlink.linkstate", "LinkState", "get_node_id_by_public_key"): ["self", "public_key"],
    ("flwr.server.superlink.linkstate", "LinkState", "get_node_info"): ["self", "node_ids", "owner_aids", "statuses"],
    ("flwr.server.superlink.linkstate", "LinkState", "get_run_info"): [
        "self", "run_ids", "statuses", "flwr_aids", "federation_ids", "order_by", "ascending", "limit", "skip",
    ],
    ("flwr.supercore.control", "ControlHttpClient", "__init__"): [
        "self", "base_url", "interceptors", "verify", "timeout", "retry_invoker",
    ],
    ("flwr.supercore.control", "ControlHttpClient", "ListNodes"): ["self", "request"],
    ("flwr.supercore.control", "ControlHttpClient", "ListRuns"): ["self", "request"],
    ("flwr.supercore.control", "ControlHttpClient", "StartRun"): ["self", "request"],
    ("flwr.supercore.control", "ControlHttpClient", "StopRun"): ["self", "request"],
    ("flwr.supercore.control", "ControlHttpClient", "StreamLogs"): ["self", "request"],
    ("flwr.supercore.error", "FlowerError", "from_json"): ["value"],
    ("flwr.supercore.heartbeat", "HeartbeatSender", "__init__"): ["self", "heartbeat_fn"],
    ("flwr.supercore.interceptors", "RuntimeTokenHttpInterceptor", "__init__"): ["self", "token"],
    ("flwr.supercore.interceptors", "RuntimeVersionHttpInterceptor", "__init__"): ["self", "component_name"],
    ("flwr.supercore.interceptors", "SuperExecAuthHttpInterceptor", "__init__"): [
        "self", "master_secret", "protected_methods",
    ],
    ("flwr.supercore.object_store", "ObjectStoreFactory", "__init__"): ["self", "database"],
    ("flwr.supercore.protobuf.client", "ProtobufClientInterceptor", "intercept"): ["self", "context", "call_next"],
    ("flwr.supercore.run", "Run", "create_empty"): ["run_id"],
    ("flwr.supercore.runtime", "RuntimeHttpClient", "AcquireTask"): ["self", "request"],
    ("flwr.supercore.runtime", "RuntimeHttpClient", "from_server_address"): [
        "server_address", "insecure", "root_certificates", "interceptors", "retry_invoker",
    ],
    ("flwr.superlink.auth_plugin", "ControlAuthnPlugin", "get_auth_tokens"): ["self", "device_code"],
    ("flwr.superlink.auth_plugin", "ControlAuthnPlugin", "get_login_details"): ["self"],
    ("flwr.superlink.auth_plugin", "ControlAuthnPlugin", "refresh_tokens"): ["self", "metadata"],
    ("flwr.superlink.auth_plugin", "ControlAuthnPlugin", "validate_tokens_in_metadata"): ["self", "metadata"],
    ("flwr.supernode.nodestate", "NodeStateFactory", "__init__"): ["self", "objectstore_factory"],
}  # fmt: skip
"""Class and method -> its parameters, in order."""

NAMES: dict[tuple[str, str], object] = {
    ("flwr.cli.constant", "ACCESS_TOKEN_STORE_KEY"): "flower.account-auth.%s.oidc-access-token",
    ("flwr.cli.constant", "AUTHN_TYPE_STORE_KEY"): "flower.account-auth.%s.authn-type",
    ("flwr.cli.constant", "REFRESH_TOKEN_STORE_KEY"): "flower.account-auth.%s.oidc-refresh-token",
    ("flwr.common.constant", "ACCESS_TOKEN_KEY"): "flwr-oidc-access-token",
    ("flwr.common.constant", "AuthnType"): {"NOOP": "noop", "OIDC": "oidc"},
    ("flwr.common.constant", "HEARTBEAT_DEFAULT_INTERVAL"): 30,
    ("flwr.common.constant", "HEARTBEAT_PATIENCE"): 2,
    ("flwr.common.constant", "NOOP_ACCOUNT_NAME"): str,
    ("flwr.common.constant", "NOOP_FLWR_AID"): str,
    ("flwr.common.constant", "SYSTEM_TIME_TOLERANCE"): 5,
    ("flwr.common.constant", "SubStatus"): {"COMPLETED": "completed", "FAILED": "failed"},
    ("flwr.common.constant", "TIMESTAMP_TOLERANCE"): 300,
    ("flwr.supercore.constant", "NodeStatus"): {
        "ONLINE": "online", "OFFLINE": "offline", "REGISTERED": "registered", "UNREGISTERED": "unregistered",
    },
    ("flwr.supercore.constant", "TaskType"): {"CLIENT_APP": "flwr-clientapp"},
    # Used as types, as values, or otherwise asserted below.
    ("flwr.common.logger", "log"): object,
    ("flwr.proto.control_pb2", "ListNodesRequest"): [],
    ("flwr.proto.control_pb2", "ListRunsRequest"): ["limit"],
    ("flwr.proto.control_pb2", "StartRunRequest"): ["fab", "override_config"],
    ("flwr.proto.control_pb2", "StopRunRequest"): ["run_id"],
    ("flwr.proto.control_pb2", "StreamLogsRequest"): ["run_id", "after_timestamp"],
    ("flwr.proto.message_pb2", "Message"): ["metadata", "content", "error"],
    ("flwr.proto.node_pb2", "NodeInfo"): [
        "node_id", "name", "public_key", "status", "online_until", "heartbeat_interval",
    ],
    ("flwr.proto.runtime_pb2", "AcquireTaskRequest"): ["supported_task_types"],
    ("flwr.server.superlink.linkstate", "LinkState"): object,
    ("flwr.supercore.auth.typing", "AccountAuthCredentials"): object,
    ("flwr.supercore.auth.typing", "AccountAuthLoginDetails"): [
        "authn_type", "device_code", "verification_uri_complete", "expires_in", "interval",
    ],
    ("flwr.supercore.auth.typing", "AccountInfo"): ["flwr_aid", "account_name"],
    ("flwr.supercore.error", "ApiErrorCode"): object,
    ("flwr.supercore.fab", "Fab"): ["hash_str", "content", "verifications"],
    ("flwr.supercore.inflatable.inflatable_utils", "ObjectPushError"): object,
    ("flwr.supercore.inflatable.inflatable_utils", "pull_and_inflate_object_from_tree"): object,
    ("flwr.supercore.inflatable.inflatable_utils", "pull_objects"): object,
    ("flwr.supercore.protobuf.client", "ProtobufCall"): object,
    ("flwr.supercore.protobuf.client", "ProtobufRequestContext"): ["request"],
    ("flwr.supercore.sql_mixin", "SqlMixin"): object,
    ("flwr.supercore.task_identity", "TaskIdentity"): object,
    ("flwr.superlink.cli.flower_superlink", "SuperLinkLifespan"): object,
    ("flwr.superlink.config_loader", "SuperLinkLifespanConfig"): [
        "control_address", "health_server_address", "host", "port", "insecure", "certificates",
        "superexec_auth_secret", "authn_plugin", "event_log_plugin", "fleet_event_log_plugin", "enable_event_log",
        "artifact_provider", "enable_supernode_auth", "fleet_api_type", "fleet_api_address", "simulation",
        "ssl_ca_certfile", "ssl_certfile", "ssl_keyfile", "database", "isolation", "runtime_dependency_install",
    ],
    ("flwr.superlink.grid", "InMemoryGrid"): object,
    ("flwr.supernode.start_client_internal", "start_client_internal"): object,
}  # fmt: skip
"""Name -> its value or type; the values of an enumeration; fields of a message or dataclass; object for any."""


def named(module: str, name: str) -> object:
    return getattr(import_module(module), name)


def parameters(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_flower_is_installed_in_the_one_version_that_the_package_asks_for():
    assert version("flwr") == PINNED
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"flwr=={PINNED}" in project["dependencies"]
    assert project["optional-dependencies"]["ray"] == [f"flwr[simulation]=={PINNED}"]


@pytest.mark.parametrize(("place", "expected"), FUNCTIONS.items(), ids=map(".".join, FUNCTIONS))
def test_a_function_has_the_parameters_that_it_is_called_with(place, expected):
    assert parameters(named(*place)) == expected


@pytest.mark.parametrize(("place", "expected"), METHODS.items(), ids=map(".".join, METHODS))
def test_a_method_has_the_parameters_that_it_is_called_with(place, expected):
    module, owner, method = place
    assert parameters(getattr(named(module, owner), method)) == expected


@pytest.mark.parametrize(("place", "expected"), NAMES.items(), ids=map(".".join, NAMES))
def test_a_name_stands_for_what_fedner_takes_it_for(place, expected):
    found = named(*place)
    if isinstance(expected, dict):
        assert {key: getattr(found, key) for key in expected} == expected
    elif isinstance(expected, list):
        assert set(expected) <= fields(found)
    elif isinstance(expected, type):
        assert isinstance(found, expected)
    else:
        assert found == expected


def fields(kind: object) -> set[str]:
    """Return the fields of a dataclass or of a Protocol Buffers message."""
    if dataclasses.is_dataclass(kind):
        return {field.name for field in dataclasses.fields(kind)}
    descriptor = getattr(kind, "DESCRIPTOR", None)
    return set(parameters(kind)) if descriptor is None else set(descriptor.fields_by_name)


def test_a_supernode_takes_all_that_it_is_started_with():
    wanted = {
        "state_factory", "server_address", "node_config", "root_certificates", "insecure", "authentication_keys",
        "isolation", "runtime_api_address", "superexec_auth_secret", "runtime_dependency_install",
    }  # fmt: skip
    found = inspect.signature(named("flwr.supernode.start_client_internal", "start_client_internal")).parameters
    assert wanted <= found.keys()
    needed = {name for name, each in found.items() if each.default is inspect.Parameter.empty}
    assert needed <= wanted


def test_both_functions_that_wait_for_pieces_have_flowers_own_waits_as_keyword_defaults():
    ours = {"initial_backoff": FIRST_SECONDS, "backoff_cap": LONGEST_SECONDS, "max_tries_per_object": None}
    for name in ("pull_objects", "pull_and_inflate_object_from_tree"):
        function = named("flwr.supercore.inflatable.inflatable_utils", name)
        assert ours.keys() <= getattr(function, "__kwdefaults__").keys()  # noqa: B009


def test_a_process_has_an_identity_of_three_numbers():
    identity = named("flwr.supercore.task_identity", "TaskIdentity")
    for name in ("task_id", "run_id", "node_id"):
        assert isinstance(inspect.getattr_static(type(identity), name), property)
        assert hasattr(identity, f"_{name}")


def test_a_messages_id_lies_where_it_is_written():
    metadata = named("flwr.app", "Metadata")
    source = inspect.getsource(metadata)
    assert '"_message_id"' in source
    assert metadata.message_id.fset is None, "there is a setter now: use it"


def test_sqlites_engine_lies_where_it_is_looked_for():
    assert "_engine" in inspect.getsource(named("flwr.supercore.sql_mixin", "SqlMixin"))


def test_flowers_lines_go_to_a_logger_of_its_own():
    assert getattr(named("flwr.common.logger", "log"), "__self__").name == "flwr"  # noqa: B009
