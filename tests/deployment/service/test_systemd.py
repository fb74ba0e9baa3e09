"""systemd units: valid to systemd itself, hardened, and never made from what a unit would read differently."""

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fedner.cli.main import perform
from fedner.deployment.provisioning.kit import Kit, Party
from fedner.deployment.service.systemd import unit_for
from fedner.errors import ConfigError


def kit(party: Party, folder: str = "/etc/fedner/kit") -> Kit:
    return Kit(
        folder=Path(folder), federation="cardio", party=party, site="north" if party is Party.site else None,
        host="fed.example.org", contract_hash="0" * 64, fedner="0.1.0", flwr="1.41.0", python="3.11",
        issued=datetime(2026, 1, 1, tzinfo=UTC), valid_until=datetime(2027, 1, 1, tzinfo=UTC),
    )  # fmt: skip


SITE = Path("/etc/fedner/site.yaml")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("party", [Party.server, Party.site])
def test_systemd_takes_the_unit_without_a_word(tmp_path, party):
    unit = unit_for(kit(party), SITE, Path("/usr/bin/true"), "daemon", gpu=False)
    (tmp_path / unit.name).write_text(unit.text)
    verified = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / unit.name)], capture_output=True, text=True, check=False
    )
    ours = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert ours == []
    assert verified.returncode == 0, verified.stderr


def test_a_site_runs_as_its_user_and_cannot_write_but_to_its_state():
    unit = unit_for(kit(Party.site), SITE, Path("/opt/fedner/bin/fedner"), "ner", gpu=False)
    assert unit.name == "fedner-client-cardio-north.service"
    lines = unit.text.splitlines()
    state = "/var/lib/fedner-client-cardio-north"
    assert f"ExecStart=/opt/fedner/bin/fedner client /etc/fedner/kit --site {SITE} --state {state}" in lines
    for line in ("User=ner", "NoNewPrivileges=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateDevices=yes"):
        assert line in lines, line


def test_a_server_listens_where_the_unit_was_told_and_a_site_nowhere(monkeypatch, capsys):
    monkeypatch.setattr("fedner.cli.verbs.deployment.units.read_kit", lambda _: kit(Party.server))
    told = ["--web", "9095", "--web-host", "::", "--control-host", "10.0.0.5"]
    perform(["units", "/etc/fedner/kit", "--program", "/opt/fedner/bin/fedner", *told])
    started = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("ExecStart="))
    assert started == (
        "ExecStart=/opt/fedner/bin/fedner server /etc/fedner/kit --state /var/lib/fedner-server-cardio"
        " --control-host 10.0.0.5 --web 9095 --web-host ::"
    )
    with pytest.raises(ConfigError, match="an address or a port"):
        unit_for(kit(Party.server), None, Path("/usr/bin/fedner"), "fedner", gpu=False, listening=["--host", "a b"])
    with pytest.raises(ConfigError, match="a site does not listen"):
        unit_for(kit(Party.site), SITE, Path("/usr/bin/fedner"), "fedner", gpu=False, listening=["--web", "9095"])


def test_a_graphics_card_keeps_the_devices_and_a_kit_at_home_stays_readable():
    unit = unit_for(kit(Party.site, "/home/ner/kit"), SITE, Path("/opt/bin/fedner"), "ner", gpu=True)
    assert "PrivateDevices=no" in unit.text.splitlines()
    assert "ProtectHome=read-only" in unit.text.splitlines()


@pytest.mark.parametrize("folder", ["/etc/fedner kit", "/etc/%h", "/etc/$HOME", "kit", "/etc/kit\nUser=root"])
def test_a_path_that_systemd_reads_differently_is_refused(folder):
    with pytest.raises(ConfigError, match="expected an absolute path"):
        unit_for(kit(Party.server, folder), None, Path("/usr/bin/fedner"), "fedner", gpu=False)


def test_a_user_that_would_break_out_of_the_line_is_refused_and_a_site_needs_its_file():
    with pytest.raises(ConfigError, match="--user"):
        unit_for(kit(Party.server), None, Path("/usr/bin/fedner"), "root\nUser=x", gpu=False)
    with pytest.raises(ConfigError, match="--site"):
        unit_for(kit(Party.site), None, Path("/usr/bin/fedner"), "fedner", gpu=False)
