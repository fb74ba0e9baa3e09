"""Kits as they are issued and changed: who gets which key, what is trusted, and that a change is whole or not there."""

import argparse
import base64
import gzip
import os
import shutil
import socket
import ssl
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_ssh_private_key
from cryptography.x509 import verification
from flwr.cli.supernode.register import try_load_public_key
from flwr.supercore.primitives.asymmetric import public_key_to_bytes
from flwr.supernode.cli.flower_supernode import _try_setup_client_authentication

from fedner.cli.main import main
from fedner.deployment.preflight.network import trusting
from fedner.deployment.provisioning.certificates import hosts_of, read_certificates
from fedner.deployment.provisioning.federation_file import read_federation, read_revoked
from fedner.deployment.provisioning.issuing import add, issue, revoke
from fedner.deployment.provisioning.keys import fingerprint, make_site_key, read_public
from fedner.deployment.provisioning.kit import read_kit
from fedner.deployment.provisioning.rotation import finish_authority, rotate_authority, rotate_server, rotate_site
from fedner.deployment.provisioning.signing import seal, verify
from fedner.deployment.provisioning.transaction import locked, staged_copy
from fedner.errors import ConfigError, RunError

from ..conftest import FEDERATION, HOST, issue_kits, tls_server, write_federation

NOW = datetime.now(UTC)
PARTIES = ("coordinator", "server", "site-north", "site-south")


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def handshake(authority, port: int, host: str = HOST) -> str | None:
    """Shake hands as a site does; return OpenSSL's reason for a refusal."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port)) as plain,
            trusting(authority).wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as error:
        return error.verify_message


# --- what is issued


def test_each_party_has_the_files_of_its_layout(issued):
    common = {"kit.yaml", "contract.yaml", "README.md", "ca.crt", "SHA256SUMS", "SHA256SUMS.sig"}
    server = {"server.crt", "server.key", "revoked.yaml", "sites/north.pub", "sites/south.pub"}
    assert set(contents(issued / "coordinator")) == common | server | {"ca.key", "federation.yaml"}
    assert set(contents(issued / "server")) == common | server
    assert set(contents(issued / "site-north")) == common | {"site.example.yaml", "north.key", "north.pub"}
    assert set(contents(issued / "site-south")) == common | {"site.example.yaml", "south.pub"}
    assert [verify(issued / name).ok for name in PARTIES] == [True] * 4


def test_kit_yaml_says_whose_kit_it_is_and_how_the_server_is_reached(issued):
    kit = read_kit(issued / "site-north")
    assert (kit.federation, str(kit.party), kit.site, kit.host, kit.ports.fleet) == (
        "cardio",
        "site",
        "north",
        HOST,
        9092,
    )
    assert kit.flwr == "1.41.0"


def test_no_private_key_is_in_another_partys_kit(issued):
    owners = {"ca.key": {"coordinator"}, "server.key": {"coordinator", "server"}, "north.key": {"site-north"}}
    found = {path.name: path for path in issued.rglob("*.key")}
    assert set(found) == set(owners)
    for name, path in found.items():
        # The middle of the key's body: no other file can hold it by chance.
        secret = b"".join(path.read_bytes().splitlines()[1:-1])[40:120]
        raw = base64.b64decode(secret)
        for party in PARTIES:
            texts = contents(issued / party).values()
            with gzip.open(issued / f"{party}.tar.gz") as archive:
                everything = b"".join(texts) + archive.read()
            held_there = secret in everything.replace(b"\n", b"") or raw in everything
            assert held_there == (party in owners[name]), (name, party)


def test_private_keys_are_their_owners_alone_in_folder_and_archive(issued):
    assert {path.stat().st_mode & 0o777 for path in issued.rglob("*.key")} == {0o600}
    assert issued.stat().st_mode & 0o777 == 0o700
    for party in PARTIES:
        with tarfile.open(issued / f"{party}.tar.gz") as archive:
            modes = {member.name: member.mode for member in archive.getmembers()}
            assert all(member.isfile() or member.isdir() for member in archive.getmembers())
        assert list(modes) == sorted(modes)
        assert all(name.startswith(party) for name in modes)
        assert {mode for name, mode in modes.items() if name.endswith(".key")} <= {0o600}
        secret = any(name.endswith(".key") for name in modes)
        assert (issued / f"{party}.tar.gz").stat().st_mode & 0o077 == (0 if secret else 0o044)


def test_private_keys_stay_private_under_a_careless_umask(tmp_path):
    before = os.umask(0)
    try:
        kits = issue_kits(tmp_path)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in kits.rglob("*.key")} == {0o600}


def test_an_archive_unpacks_to_the_kit_and_is_the_same_bytes_again(issued, tmp_path):
    with tarfile.open(issued / "server.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    assert contents(tmp_path / "server") == contents(issued / "server")
    assert verify(tmp_path / "server").ok
    first = (issued / "server.tar.gz").read_bytes()
    shutil.copytree(issued / "server", tmp_path / "again" / "server")

    class SameSigner:  # an ECDSA signature is another each time
        def sign(self, content: bytes) -> bytes:
            return (issued / "server" / "SHA256SUMS.sig").read_bytes()

    seal(tmp_path / "again" / "server", SameSigner())
    assert (tmp_path / "again" / "server.tar.gz").read_bytes() == first


def test_flowers_own_functions_read_the_keys(issued, tmp_path):
    options = argparse.Namespace(
        auth_supernode_private_key=str(issued / "site-north" / "north.key"), auth_supernode_public_key=None
    )
    private, public = _try_setup_client_authentication(options)
    registered = try_load_public_key(issued / "server" / "sites" / "north.pub")
    assert public_key_to_bytes(public) == registered
    assert private.curve.name == "secp384r1"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_ssh_keygen_reads_the_keys_and_prints_the_same_fingerprint(issued):
    key, public = issued / "site-north" / "north.key", issued / "site-north" / "north.pub"
    derived = subprocess.run(["ssh-keygen", "-y", "-f", key], capture_output=True, text=True, check=True).stdout
    assert derived.split()[:2] == public.read_text().split()[:2]
    listed = subprocess.run(["ssh-keygen", "-l", "-f", public], capture_output=True, text=True, check=True).stdout
    assert listed.split()[1] == fingerprint(read_public(public))


@pytest.mark.skipif(not shutil.which("openssl") or not shutil.which("sha256sum"), reason="needs openssl and sha256sum")
def test_openssl_and_sha256sum_accept_sums_and_signature(issued, tmp_path):
    kit = issued / "site-south"
    subprocess.run(["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=kit, check=True, capture_output=True)
    public = subprocess.run(
        ["openssl", "x509", "-in", "ca.crt", "-noout", "-pubkey"], cwd=kit, check=True, capture_output=True
    ).stdout
    (tmp_path / "ca.pub").write_bytes(public)
    command = [
        "openssl",
        "dgst",
        "-sha384",
        "-verify",
        tmp_path / "ca.pub",
        "-signature",
        "SHA256SUMS.sig",
        "SHA256SUMS",
    ]
    subprocess.run(command, cwd=kit, check=True, capture_output=True)
    shown = subprocess.run(
        ["openssl", "x509", "-in", "ca.crt", "-noout", "-fingerprint", "-sha256"],
        cwd=kit,
        check=True,
        capture_output=True,
    ).stdout.decode()
    assert verify(kit).fingerprint == shown.strip().split("=")[1]


# --- certificates


def server_verifier(ca, subject, time=NOW):
    return verification.PolicyBuilder().store(verification.Store([ca])).time(time).build_server_verifier(subject)


def test_the_server_certificate_holds_for_its_names_and_addresses_only(issued):
    import ipaddress

    (ca,), (server,) = (
        read_certificates(issued / "server" / "ca.crt"),
        read_certificates(issued / "server" / "server.crt"),
    )
    for address in ("2001:db8::7", "192.0.2.7", "127.0.0.1", "::1"):
        assert server_verifier(ca, x509.IPAddress(ipaddress.ip_address(address))).verify(server, [])
    for name in (HOST, "localhost"):
        assert server_verifier(ca, x509.DNSName(name)).verify(server, [])
    for subject in (x509.DNSName("example.org"), x509.IPAddress(ipaddress.ip_address("192.0.2.8"))):
        with pytest.raises(verification.VerificationError):
            server_verifier(ca, subject).verify(server, [])


def test_the_server_certificate_holds_as_long_as_was_said_and_no_longer(issued):
    (ca,), (server,) = (
        read_certificates(issued / "server" / "ca.crt"),
        read_certificates(issued / "server" / "server.crt"),
    )
    assert server_verifier(ca, x509.DNSName(HOST), NOW + timedelta(days=364)).verify(server, [])
    for time in (NOW + timedelta(days=366), NOW - timedelta(days=1)):
        with pytest.raises(verification.VerificationError):
            server_verifier(ca, x509.DNSName(HOST), time).verify(server, [])


def test_the_server_cannot_issue_certificates(issued):
    (server,) = read_certificates(issued / "server" / "server.crt")
    assert server.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    usage = server.extensions.get_extension_for_class(x509.KeyUsage).value
    assert not usage.key_cert_sign


def test_a_site_shakes_hands_with_its_own_federations_server_only(issued, tmp_path):
    ours = issued / "site-north" / "ca.crt"
    other = issue_kits(tmp_path / "other")
    with tls_server(issued / "server") as port:
        assert handshake(ours, port) is None
        assert "self-signed certificate in certificate chain" in handshake(other / "site-north" / "ca.crt", port) or (
            "unable to get local issuer" in handshake(other / "site-north" / "ca.crt", port)
        )
        assert "Hostname mismatch" in handshake(ours, port, "evil.example.org")


def test_an_expired_server_certificate_is_refused(tmp_path):
    kits = issue_kits(tmp_path, NOW - timedelta(days=400))
    with tls_server(kits / "server") as port:
        assert "expired" in handshake(kits / "site-north" / "ca.crt", port)


# --- what federation.yaml must not say


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("name: north", "name: ../north", r"sites\[0\]\.name: expected 1 to 63 letters"),
        ("name: north", "name: /etc", r"sites\[0\]\.name: expected 1 to 63 letters"),
        ("name: north", "name: -rf", r"sites\[0\]\.name: expected"),
        ("name: north", "name: .north", r"sites\[0\]\.name: expected 1 to 63 letters"),
        ("name: north", f"name: {'n' * 64}", r"sites\[0\]\.name: expected 1 to 63 letters"),
        ("name: north", "name: South", r"sites\[1\]\.name: expected another name than sites\[0\]'s"),
        ("name: cardio", "name: ../cardio", "name: expected 1 to 63 letters"),
        ("contract:", "contrakt:", r"contrakt: no such key \(did you mean 'contract'\?\)"),
        ("public_key:", "publick_key:", r"sites\[1\]\.publick_key: no such key \(did you mean 'public_key'\?\)"),
        ("name: cardio", "name: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("name: cardio", "name: ${oc.env:HOME}", "name: expected 1 to 63 letters"),
        ("[fed.example.org,", "[fed.example.org:9092,", r"server\.hosts\[0\]: expected a host name"),
        ("[fed.example.org,", "[fed.example.org, FED.example.org,", r"server\.hosts\[1\]: expected each host once"),
        ("contract: labels.yaml", "contract: labels.yaml\nvalid_days: 826", "valid_days: expected 1 to 825 days"),
        ("contract: labels.yaml", "contract: labels.yaml\nca_valid_days: 30", "ca_valid_days: expected 365"),
        ("contract: labels.yaml", "contract: missing.yaml", r"missing\.yaml"),
        ("own/south.pub", "own/south.key", r"south\.key: .*got a private key; it must not leave the site"),
        ("own/south.pub", "labels.yaml", r"labels\.yaml: expected a site's public key"),
    ],
)
def test_a_faulty_federation_file_is_refused_and_nothing_is_written(tmp_path, old, new, said):
    assert old in FEDERATION
    file = write_federation(tmp_path, FEDERATION.replace(old, new, 1))
    with pytest.raises(Exception, match=said) as refused:
        issue(file, tmp_path / "kits", NOW)
    assert refused.value.exit_status == 2
    assert not list(tmp_path.rglob("*.crt"))


def test_two_sites_with_one_key_are_refused_and_nothing_is_left(tmp_path):
    text = FEDERATION.replace("- name: north", "- name: north\n    public_key: own/south.pub")
    with pytest.raises(ConfigError, match="site 'south': expected a key of its own, got that of site 'north'"):
        issue(write_federation(tmp_path, text), tmp_path / "kits", NOW)
    assert [path.name for path in (tmp_path / "kits").iterdir()] == [".cardio.lock"]


def test_a_key_of_another_type_is_refused(tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "ed.pub").write_bytes(public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH))
    with pytest.raises(ConfigError, match="of type ecdsa"):
        read_public(tmp_path / "ed.pub")


def test_a_sites_own_key_is_never_overwritten(tmp_path):
    private, _ = make_site_key("north", tmp_path)
    before = private.read_bytes()
    load_ssh_private_key(before, None)
    assert private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="a key is never overwritten"):
        make_site_key("north", tmp_path)
    assert private.read_bytes() == before


# --- what changes later


def test_issuing_again_changes_nothing_and_another_federation_is_refused(kits, tmp_path):
    before = contents(kits)
    assert issue(tmp_path / "federation.yaml", tmp_path / "kits", NOW).kits == ()
    assert contents(kits) == before
    changed = write_federation(tmp_path, FEDERATION.replace("192.0.2.7", "192.0.2.8"))
    with pytest.raises(ConfigError, match="was issued already and differs in server"):
        issue(changed, tmp_path / "kits", NOW)
    assert contents(kits) == before


def test_adding_a_site_leaves_other_sites_kits_and_the_authority_alone(kits, tmp_path):
    _, public = make_site_key("east", tmp_path / "own")
    before = contents(kits)
    times = {path: path.stat().st_mtime_ns for path in (kits / "site-north").iterdir()}
    assert add(kits, "east", public, NOW).kits == ("coordinator", "server", "site-east")
    after = contents(kits)
    kept = [name for name in before if name.startswith("site-") or name.endswith(("ca.crt", "ca.key", "server.key"))]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {path: path.stat().st_mtime_ns for path in (kits / "site-north").iterdir()} == times
    assert read_public(kits / "server" / "sites" / "east.pub") == read_public(public)
    assert [verify(kits / name).ok for name in (*PARTIES, "site-east")] == [True] * 5
    assert add(kits, "east", public, NOW).kits == ()
    assert contents(kits) == after


def test_adding_refuses_another_key_a_taken_key_and_a_name_in_other_case(kits, tmp_path):
    _, public = make_site_key("new", tmp_path / "own")
    before = contents(kits)
    with pytest.raises(ConfigError, match="'north' is there with another key"):
        add(kits, "north", public, NOW)
    with pytest.raises(ConfigError, match="got that of site 'south'"):
        add(kits, "east", tmp_path / "own" / "south.pub", NOW)
    with pytest.raises(ConfigError, match="in upper and lower case only"):
        add(kits, "North", public, NOW)
    with pytest.raises(ConfigError, match="expected 1 to 63 letters"):
        add(kits, "../east", public, NOW)
    assert contents(kits) == before


def test_a_revoked_site_is_gone_its_key_is_written_down_and_cannot_come_back(kits, tmp_path):
    own = tmp_path / "own" / "south.pub"
    revoke(kits, "south", "the server room was broken into", NOW)
    assert not (kits / "site-south").exists()
    assert not (kits / "site-south.tar.gz").exists()
    assert not (kits / "server" / "sites" / "south.pub").exists()
    (entry,) = read_revoked(kits / "server" / "revoked.yaml")
    assert (entry.site, entry.reason) == ("south", "the server room was broken into")
    assert entry.fingerprint == fingerprint(read_public(own))
    assert abs(entry.revoked - NOW) < timedelta(seconds=2)
    assert [site.name for site in read_federation(kits / "coordinator" / "federation.yaml").sites] == ["north"]
    before = contents(kits)
    assert revoke(kits, "south", "again", NOW).kits == ()
    assert contents(kits) == before
    with pytest.raises(ConfigError, match="was revoked on"):
        add(kits, "south", own, NOW)
    assert add(kits, "south", None, NOW).kits == ("coordinator", "server", "site-south")


def test_revoking_wants_a_known_site_and_a_reason(kits):
    with pytest.raises(ConfigError, match=r"no site 'norht' \(did you mean 'north'\?\)"):
        revoke(kits, "norht", "left", NOW)
    with pytest.raises(ConfigError, match="--reason: expected a sentence"):
        revoke(kits, "north", " ", NOW)


def test_a_rotated_site_key_is_new_and_the_one_before_is_revoked(kits, tmp_path):
    before = read_public(kits / "server" / "sites" / "north.pub")
    _, public = make_site_key("north", tmp_path / "new")
    rotate_site(kits, "north", public, NOW)
    assert read_public(kits / "server" / "sites" / "north.pub") == read_public(public)
    assert not (kits / "site-north" / "north.key").exists()
    assert [entry.fingerprint for entry in read_revoked(kits / "server" / "revoked.yaml")] == [fingerprint(before)]
    assert rotate_site(kits, "north", public, NOW).kits == ()
    assert rotate_site(kits, "north", None, NOW).kits == ("coordinator", "server", "site-north")
    assert (kits / "site-north" / "north.key").exists()


def test_the_server_certificate_is_replaced_when_it_is_due(kits):
    before = (kits / "server" / "server.crt").read_bytes()
    assert rotate_server(kits, (), False, NOW).kits == ()
    assert (kits / "server" / "server.crt").read_bytes() == before
    later = NOW + timedelta(days=340)  # 25 days are left
    assert rotate_server(kits, (), False, later).kits == ("coordinator", "server")
    assert read_certificates(kits / "server" / "server.crt")[0].not_valid_after_utc > later + timedelta(days=364)
    assert verify(kits / "server").ok
    again = (kits / "server" / "server.key").read_bytes()
    rotate_server(kits, (), True, later)
    assert (kits / "server" / "server.key").read_bytes() != again


def test_new_hosts_stand_in_the_certificate_and_a_new_first_one_in_every_kit(kits):
    assert rotate_server(kits, (HOST, "10.1.2.3"), False, NOW).kits == ("coordinator", "server")
    names = hosts_of(read_certificates(kits / "server" / "server.crt")[0])
    assert set(names) == {HOST, "10.1.2.3", "localhost", "127.0.0.1", "::1"}
    assert rotate_server(kits, (HOST, "10.1.2.3"), False, NOW).kits == ()
    key = (kits / "site-north" / "north.key").read_bytes()
    assert rotate_server(kits, ("new.example.org",), False, NOW).kits == PARTIES
    assert read_kit(kits / "site-south").host == "new.example.org"
    assert (kits / "site-north" / "north.key").read_bytes() == key


def test_no_server_certificate_outlives_its_authority(kits):
    late = NOW + timedelta(days=1800)  # the authority holds for 1826
    rotate_server(kits, (), False, late)
    (ca,), (server,) = read_certificates(kits / "server" / "ca.crt"), read_certificates(kits / "server" / "server.crt")
    assert server.not_valid_after_utc == ca.not_valid_after_utc


def test_the_authority_is_replaced_without_a_moment_at_which_a_site_is_shut_out(kits, tmp_path):
    shutil.copytree(kits / "site-north", tmp_path / "old")
    old, new = tmp_path / "old" / "ca.crt", kits / "site-north" / "ca.crt"
    key = (kits / "site-north" / "north.key").read_bytes()
    assert rotate_authority(kits, NOW).kits == PARTIES
    assert rotate_authority(kits, NOW).kits == ()
    assert (kits / "site-north" / "north.key").read_bytes() == key
    # The new kit is signed by the authority that the site trusts already.
    assert verify(kits / "site-north", trusted=old).ok
    assert (kits / "site-north" / "TRANSITION.md").exists()
    with tls_server(kits / "server") as port:
        assert handshake(old, port) is None
        assert handshake(new, port) is None
    with pytest.raises(ConfigError, match="got one of the authority before"):
        finish_authority(kits, NOW)
    assert rotate_server(kits, (), False, NOW).kits == ("coordinator", "server")
    with tls_server(kits / "server") as port:
        assert handshake(old, port) is not None
        assert handshake(new, port) is None
    assert finish_authority(kits, NOW).kits == PARTIES
    assert finish_authority(kits, NOW).kits == ()
    assert len(read_certificates(new)) == 1
    assert not (kits / "site-north" / "TRANSITION.md").exists()
    assert [verify(kits / name).ok for name in PARTIES] == [True] * 4


def test_a_change_works_after_the_sites_kits_were_handed_over_and_deleted(kits):
    shutil.rmtree(kits / "site-north")
    (kits / "site-north.tar.gz").unlink()
    rotate_authority(kits, NOW)
    assert verify(kits / "site-north").ok
    assert not (kits / "site-north" / "north.key").exists()


# --- whole or not there


def test_an_interrupted_change_leaves_everything_as_it_was(kits):
    before = contents(kits.parent)
    with locked(kits), pytest.raises(FileNotFoundError), staged_copy(kits) as draft:
        shutil.move(draft / "coordinator" / "ca.key", draft / "no such folder" / "ca.key")
    assert contents(kits.parent) == before


def test_what_a_crash_left_behind_is_mended_by_the_next_command(kits):
    before = contents(kits)
    (kits.parent / ".cardio.draft" / "coordinator").mkdir(parents=True)  # killed while it wrote
    kits.rename(kits.parent / ".cardio.before")  # killed between the two renames
    with locked(kits):
        assert contents(kits) == before
    assert sorted(path.name for path in kits.parent.iterdir()) == [".cardio.lock", "cardio"]


def test_two_changes_at_once_are_refused(kits):
    with locked(kits), pytest.raises(RunError, match="another fedner is changing it"):
        add(kits, "east", None, NOW)


def test_a_change_from_within_the_folder_is_refused(kits, monkeypatch):
    monkeypatch.chdir(kits / "coordinator")
    with pytest.raises(ConfigError, match="cd out of it"):
        add(kits, "east", None, NOW)


# --- verification


@pytest.mark.parametrize("name", ["ca.crt", "kit.yaml", "contract.yaml", "north.pub", "README.md"])
def test_an_altered_file_is_found(kits, name):
    with (kits / "site-north" / name).open("a") as file:
        file.write("\n# altered\n")
    assert any(
        f"{name}: expected the file as it was issued" in problem for problem in verify(kits / "site-north").altered
    )


def test_altered_sums_are_found_by_their_signature(kits):
    sums = kits / "server" / "SHA256SUMS"
    sums.write_text(sums.read_text().replace("kit.yaml", "tik.yaml"))
    problems = verify(kits / "server").altered
    assert "expected a signature by the authority in the kit" in problems[0]


def test_a_kit_of_another_hand_is_found_by_a_trusted_authority(kits, tmp_path):
    other = issue_kits(tmp_path / "other")
    verdict = verify(other / "site-north", trusted=kits / "site-north" / "ca.crt")
    assert "expected a signature by an authority in" in verdict.altered[0]
    assert verdict.fingerprint != verify(kits / "site-north").fingerprint


def test_a_public_key_or_token_that_slipped_into_the_servers_kit_is_found(kits, tmp_path):
    _, public = make_site_key("mallory", tmp_path / "own")
    shutil.copy(public, kits / "server" / "sites")
    (kits / "server" / "control.token").write_text("known to mallory")
    problems = verify(kits / "server").altered
    assert ["not among the files that were signed" in problem for problem in problems] == [True, True]


def test_a_link_in_place_of_a_file_is_found(kits):
    path = kits / "site-north" / "ca.crt"
    path.unlink()
    path.symlink_to(kits / "coordinator" / "ca.crt")
    assert any(
        "ca.crt: expected the file as it was issued" in problem for problem in verify(kits / "site-north").altered
    )


def test_a_readable_or_foreign_private_key_is_found(kits):
    (kits / "site-north" / "north.key").chmod(0o640)
    shutil.copy(kits / "coordinator" / "ca.key", kits / "site-north")
    verdict = verify(kits / "site-north")
    assert [path.name for path in verdict.exposed] == ["north.key"]
    assert any("a private key that the site must not have" in problem for problem in verdict.altered)


# --- the command


def test_the_command_issues_verifies_and_tells_by_its_status(tmp_path, capsys):
    file = write_federation(tmp_path)
    kits = tmp_path / "kits" / "cardio"
    assert main(["provision", str(file), "--out", str(tmp_path / "kits")]) == 0
    assert "site-north.tar.gz" in capsys.readouterr().out
    assert main(["provision", "key", "--site", "east", "--out", str(tmp_path / "own")]) == 0
    assert main(["provision", "add", str(kits), "--site", "east", "--public-key", str(tmp_path / "own/east.pub")]) == 0
    assert main(["provision", "verify", str(kits / "site-east")]) == 0
    capsys.readouterr()
    (kits / "site-east" / "kit.yaml").write_text((kits / "site-east" / "kit.yaml").read_text() + "\n")
    assert main(["provision", "verify", str(kits / "site-east"), "--json"]) == 1
    assert '"ok": false' in capsys.readouterr().out
    assert main(["provision", "verify", str(tmp_path)]) == 2
    assert main(["provision", "rotate", str(kits), "--site", "east", "--force"]) == 2
    assert main(["provision", "revoke", str(kits), "--site", "east", "--reason", "left"]) == 0
    assert main(["provision", "rotate", str(kits), "--ca"]) == 0
