"""Whose key is registered: the kit's sites and nobody else, however often the server starts."""

import socket

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flwr.common.constant import NOOP_FLWR_AID
from flwr.superlink.config_loader import get_federation_manager, get_objectstore_linkstate_factories

from fedner.deployment.service.flower_programs import listen
from fedner.deployment.service.superlink import LOG_BYTES, rarer_checkpoints, register
from fedner.errors import ConfigError

# Flower's own migrations configure alembic in a way that alembic has come to warn about.
pytestmark = pytest.mark.filterwarnings("ignore:No path_separator found:DeprecationWarning")


def new_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.fixture
def state(tmp_path):
    _, factory = get_objectstore_linkstate_factories(str(tmp_path / "superlink.db"), get_federation_manager())
    return factory.state()


def registered(state) -> dict[str, int]:
    nodes = state.get_node_info(owner_aids=[NOOP_FLWR_AID])
    return {node.name: node.node_id for node in nodes if node.status != "unregistered"}


def test_the_same_sites_keep_their_nodes_when_the_server_starts_again(state):
    sites = {"north": new_key(), "south": new_key()}
    register(state, sites)
    first = registered(state)
    register(state, sites)
    assert registered(state) == first
    assert first.keys() == {"north", "south"}


def test_a_site_that_left_the_kit_is_shut_out_and_its_key_never_comes_back(state):
    sites = {"north": new_key(), "south": new_key()}
    register(state, sites)
    register(state, {"north": sites["north"]})
    assert registered(state).keys() == {"north"}
    with pytest.raises(ConfigError, match="site 'south': its key was shut out before"):
        register(state, sites)
    register(state, {"north": sites["north"], "south": new_key()})
    assert registered(state).keys() == {"north", "south"}


def test_a_rotated_key_takes_the_old_ones_place(state):
    old, new = new_key(), new_key()
    register(state, {"north": old})
    before = registered(state)
    register(state, {"north": new})
    assert registered(state).keys() == {"north"}
    assert registered(state) != before


def test_what_is_no_key_is_refused_with_the_sites_name(state):
    with pytest.raises(ConfigError, match="site 'north': expected an OpenSSH public key"):
        register(state, {"north": "ssh-nonsense AAAA"})


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine cannot listen on both")
def test_sqlite_keeps_its_log_until_it_has_grown_large_in_both_of_flowers_databases(state):
    rarer_checkpoints(state)
    for database in (state, state.object_store):
        [pages] = database.query("PRAGMA wal_autocheckpoint")
        [size] = database.query("PRAGMA page_size")
        [mode] = database.query("PRAGMA journal_mode")
        assert pages["wal_autocheckpoint"] * size["page_size"] == LOG_BYTES
        assert mode["journal_mode"] == "wal"


def test_two_colons_listen_on_both_and_one_address_on_its_own_kind_alone():
    with listen("::", 0) as both, listen("::1", 0) as six:
        for host in ("127.0.0.1", "::1"):
            socket.create_connection((host, both.getsockname()[1])).close()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", six.getsockname()[1]))
        with pytest.raises(ConfigError, match="another process may hold it"):
            listen("::", both.getsockname()[1])
