"""kit.yaml: written and read back unchanged; what it must not say is refused with file and key."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedner.deployment.provisioning.kit import Kit, Party, Ports, check_host, check_name, read_kit, write_kit
from fedner.errors import ConfigError


def kit(folder, **changes) -> Kit:
    values = {
        "folder": folder,
        "federation": "cardio",
        "party": Party.site,
        "site": "north",
        "host": "fed.example.org",
        "ports": Ports(fleet=19092),
        "contract_hash": "0" * 64,
        "fedner": "0.1.0",
        "flwr": "1.41.0",
        "python": "3.11",
        "issued": datetime(2026, 1, 1, tzinfo=UTC),
        "valid_until": datetime(2027, 1, 1, tzinfo=UTC),
    }
    return Kit(**{**values, **changes})


def refusal(folder, old: str, new: str) -> str:
    write_kit(kit(folder))
    file = folder / "kit.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ConfigError) as refused:
        read_kit(folder)
    assert str(file) in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("changes", [{}, {"party": Party.server, "site": None, "host": "2001:db8::7"}])
def test_a_kit_is_read_back_as_it_was_written(tmp_path, changes):
    written = kit(tmp_path, **changes)
    write_kit(written)
    assert read_kit(tmp_path) == written


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("host: fed", "hots: fed", "hots: no such key (did you mean 'host'?)"),
        ("fleet: 19092", "flet: 19092", "ports.flet: no such key (did you mean 'fleet'?)"),
        ("fleet: 19092", "fleet: '19092'", "ports.fleet: expected a whole number, got '19092'"),
        ("fleet: 19092", "fleet: true", "ports.fleet: expected a whole number, got True"),
        ("fleet: 19092", "fleet: 9093", "ports.control: expected another port than fleet's, got 9093"),
        ("fleet: 19092", "fleet: 70000", "ports.fleet: expected a port from 1 to 65535, got 70000"),
        ("party: site", "party: sites", "party: expected one of coordinator, server, site, got 'sites' (did you mean"),
        ("party: site", "party: server", "site: expected null in the kit of the server"),
        ("site: north", "site: ../north", "site: expected 1 to 63 letters"),
        ("site: north", "site: 0123", "site: expected text (in quotes, if it looks like a number), got 83"),
        ("site: north", "site: ${oc.env:HOME}", "site: expected 1 to 63 letters"),
        ("site: north", "site: north\nsite: south", "'site' is given twice"),
        ("site: north", "site: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("site: north", "site: &a [*a, *a]", "site: expected text (in quotes, if it looks like a number), got a list"),
        ("schema: 1", "schema: 2", "schema: expected 1, the layout that this fedner knows, got 2"),
        ("schema: 1", "folder: /etc\nschema: 1", "folder: no such key"),
        ("valid_until: 2027-01-01 00:00:00+00:00", "valid_until: tomorrow", "valid_until: expected a moment"),
        ("valid_until: 2027", "valid_until: 2025", "valid_until: expected a moment after 2026"),
        ("fedner: 0.1.0\n", "", "fedner: expected this key, got none"),
    ],
)
def test_what_kit_yaml_must_not_say_is_refused_with_file_and_key(tmp_path, old, new, said):
    assert said in refusal(tmp_path, old, new)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, "a: " + "9" * 5000, "\x00", "x" * 1_000_001, "", "- a", "a: 2026-13-45"]
)
def test_what_is_no_kit_yaml_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "kit.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"kit\.yaml: "):
        read_kit(tmp_path)


def test_an_archive_is_not_a_kit_yet(tmp_path):
    archive = tmp_path / "site-north.tar.gz"
    archive.write_bytes(b"")
    with pytest.raises(ConfigError, match="unpack the archive first"):
        read_kit(archive)


@given(st.text(max_size=80))
def test_a_name_that_passes_stays_within_its_folder_and_is_no_option(name):
    try:
        check_name(name, "site")
    except ConfigError:
        return
    assert name.isascii()
    assert 1 <= len(name) <= 63
    assert not set(name) & set("/\\.:~ \t\n\x00*?$'\"")
    assert not name.startswith("-")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x", "a/b", "a\\b", ".a", "-a", "_a", "a b", "a\n", "é", "a" * 64, "a.key"]
)
def test_a_name_with_a_meaning_in_paths_or_commands_is_refused(name):
    with pytest.raises(ConfigError, match="site: expected 1 to 63 letters"):
        check_name(name, "site")


@pytest.mark.parametrize("host", ["fed.example.org", "localhost", "10.0.0.7", "::1", "2001:db8::7", "a-b.c"])
def test_host_names_and_addresses_raise_nothing(host):
    check_host(host, "host")


@pytest.mark.parametrize(
    "host",
    ["", "a b", "-a.org", "a..b", "[::1]", "fed.org:9092", "https://fed.org", "10.0.0.256", "fe80::1%eth0", "*.org"],
)
def test_what_is_no_host_is_refused(host):
    with pytest.raises(ConfigError, match="host: expected a host name or an IP address"):
        check_host(host, "host")


def test_an_ipv6_address_stands_in_brackets_before_its_port(tmp_path):
    assert kit(tmp_path).address(9092) == "fed.example.org:9092"
    assert replace(kit(tmp_path), host="::1").address(9092) == "[::1]:9092"
