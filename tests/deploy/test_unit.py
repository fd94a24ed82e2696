"""The systemd units: systemd takes them, they leave a server few rights, and suit this gslb."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gslb.app.descriptor import OURS
from gslb.core.setting import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
INSTALLED = "/opt/gslb/bin/gslb"
MOST_EXPOSED = 2.0  # of 10, as systemd counts; 9 and more is what a unit without a word has

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here: install systemd"
)


def read(name: str) -> list[tuple[str, str]]:
    """The settings of a unit, in order."""
    lines = (DEPLOY / name).read_text().splitlines()
    return [
        (key, value)
        for key, sign, value in (line.partition("=") for line in lines)
        if sign and not is_comment(key)
    ]


def is_comment(line: str) -> bool:
    return line.startswith(("#", ";"))


def every(name: str, key: str) -> list[str]:
    return [value for given, value in read(name) if given == key]


def one(name: str, key: str) -> str:
    (value,) = every(name, key)
    return value


def analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *words], capture_output=True, text=True)


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Copies whose program is one that is there."""
    for name in ("gslb.service", "gslb.socket"):
        text = (DEPLOY / name).read_text()
        (tmp_path / name).write_text(text.replace(INSTALLED, sys.executable))
    return tmp_path


@needs_systemd
@pytest.mark.parametrize("name", ["gslb.service", "gslb.socket"])
def test_systemd_understands_every_line(name: str, units: Path) -> None:
    run = analyze("verify", "--man=no", units / name)
    ours = [line for line in (run.stdout + run.stderr).splitlines() if "gslb" in line]
    assert not ours
    assert run.returncode == 0, run.stderr


@needs_systemd
def test_a_line_that_systemd_does_not_know_would_be_seen(units: Path) -> None:
    with open(units / "gslb.service", "a") as file:
        file.write("[Service]\nProtectEverything=yes\n")
    run = analyze("verify", "--man=no", units / "gslb.service")
    assert "ProtectEverything" in run.stdout + run.stderr


@needs_systemd
def test_the_server_is_little_exposed(units: Path) -> None:
    run = analyze("security", "--offline=true", "--no-pager", units / "gslb.service")
    if "unrecognized option" in run.stderr:
        pytest.skip("systemd-analyze security has --offline from systemd 250 on")
    level = re.search(r"exposure level for gslb\.service: ([\d.]+)", run.stdout)
    assert level, run.stdout + run.stderr
    assert float(level[1]) <= MOST_EXPOSED, run.stdout


def test_the_only_capability_is_the_one_to_low_ports() -> None:
    assert one("gslb.service", "CapabilityBoundingSet") == "CAP_NET_BIND_SERVICE"
    assert one("gslb.service", "AmbientCapabilities") == "CAP_NET_BIND_SERVICE"


def test_every_command_in_the_unit_is_one_that_gslb_has() -> None:
    lines = [*every("gslb.service", "ExecStart"), *every("gslb.service", "ExecReload")]
    ours = [line.split()[1:] for line in lines if line.startswith(INSTALLED)]
    assert [words[0] for words in ours] == ["serve", "check"]
    for command, *options in ours:
        assert options == ["-c", "/etc/gslb/gslb.yaml"]
        run = subprocess.run(
            [sys.executable, "-m", "gslb", command, "--help"], capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        assert "-c" in run.stdout


def test_a_reload_is_checked_before_the_server_is_bothered() -> None:
    check, signal = every("gslb.service", "ExecReload")
    assert check.startswith(f"{INSTALLED} check ")
    assert signal == "/bin/kill -HUP $MAINPID"


def test_as_many_files_may_be_open_as_the_default_settings_need() -> None:
    defaults = Settings()
    needed = defaults.tcp.connections + defaults.probe.concurrency + OURS
    assert int(one("gslb.service", "LimitNOFILE")) >= needed


def test_a_start_may_take_longer_than_the_first_probes() -> None:
    assert int(one("gslb.service", "TimeoutStartSec")) > 2 * Settings().probe.settle_s


def test_what_gslb_needs_is_not_taken_from_it() -> None:
    given = dict(read("gslb.service"))
    assert "PrivateUsers" not in given, "the capability would be worth nothing"
    assert "PrivateNetwork" not in given, "it answers and probes"
    assert given.get("ProcSubset", "all") == "all", "/proc/net tells who holds a port"
    assert {"AF_INET", "AF_INET6", "AF_UNIX"} <= set(given["RestrictAddressFamilies"].split())
    denied = " ".join(every("gslb.service", "SystemCallFilter"))
    assert "@resources" not in denied, "a reload's process is nice, a start raises a limit"


def test_the_socket_unit_has_each_address_for_udp_and_for_tcp() -> None:
    datagram = every("gslb.socket", "ListenDatagram")
    assert datagram
    assert datagram == every("gslb.socket", "ListenStream")
    assert one("gslb.socket", "BindIPv6Only") == "ipv6-only"
    assert not every("gslb.socket", "Accept"), "one server for all connections"
