"""The image that people deploy, in real containers: who it is, what it may, how it stops."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dns.message
import dns.query
import pytest

from running import wait_for

# A start in a container takes a second or more, and there are many. No two files ask it at once.
pytestmark = pytest.mark.slow

IMAGE = os.environ.get("GSLB_TEST_IMAGE", "gslb")
LARGEST = 250_000_000  # octets above the base image
STOP_S = 6.0  # of the ten after which the engine would kill it
BIND = 1 << 10  # CAP_NET_BIND_SERVICE in /proc/PID/status
# Docker gives its containers all ports; without this it would not be the capability that counts.
PORTS_GUARDED = ("--sysctl", "net.ipv4.ip_unprivileged_port_start=1024")
HARDENED = ("--read-only", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE", *PORTS_GUARDED)
READINESS = ("/opt/gslb/bin/python3", "-P", "-m", "gslb.readiness")

CONFIG = """\
server: { listen: "0.0.0.0:53", state: /var/lib/gslb }
zones: zones/
"""
ZONE = """\
$ORIGIN gslb.example.com.
@     300 SOA  ns1 hostmaster 1 7200 900 1209600 60
      300 NS   ns1
      300 NS   ns2
ns1   300 A    198.18.1.11
ns2   300 A    198.18.1.12
www   300 A    198.18.1.10
"""


def docker(*arguments: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def output(*arguments: str) -> str:
    done = docker(*arguments)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def missing() -> str:
    """Why there is nothing to test, or nothing."""
    try:
        if docker("version").returncode:
            return "no Docker engine answers"
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return "no Docker engine answers"
    if docker("image", "inspect", IMAGE).returncode:
        return f"there is no image {IMAGE}; make it: docker build -t {IMAGE} . (docs/containers.md)"
    return ""


@pytest.fixture(scope="module", autouse=True)
def image() -> None:
    if why := missing():
        pytest.skip(why)


class Container:
    """A container of the image; removed with its nameless volumes at the end of the test."""

    def __init__(self) -> None:
        self.name = f"gslb-test-{secrets.token_hex(4)}"

    def start(
        self, folder: Path | None, options: tuple[str, ...], command: tuple[str, ...]
    ) -> None:
        mount = ("-v", f"{folder}:/etc/gslb:ro") if folder else ()
        output("run", "--detach", "--name", self.name, *mount, *options, IMAGE, *command)

    @property
    def log(self) -> str:
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    def state(self, template: str) -> str:
        return output("inspect", "--format", template, self.name)

    def status(self) -> int:
        """The exit status, once it has ended."""
        return int(output("wait", self.name))

    def wait_log(self, text: str) -> None:
        wait_for(lambda: text in self.log, 60, lambda: f"{text!r} not in\n{self.log}")

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return docker("exec", self.name, *command)

    def process(self, key: str) -> str:
        """A line of /proc/1/status."""
        found = re.search(rf"^{key}:\s*(.*)$", self.run("cat", "/proc/1/status").stdout, re.M)
        assert found
        return found[1]

    def ask(self) -> set[str]:
        """The addresses of www, over the port that was published."""
        port = int(output("port", self.name, "53/udp").rsplit(":", 1)[1])
        query = dns.message.make_query("www.gslb.example.com.", "A")
        reply = dns.query.udp(query, "127.0.0.1", timeout=10, port=port)
        return {str(rdata) for rrset in reply.answer for rdata in rrset}

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name)


Start = Callable[..., Container]


@pytest.fixture
def volume() -> Iterator[str]:
    name = f"gslb-test-{secrets.token_hex(4)}"
    output("volume", "create", name)
    yield name
    output("volume", "rm", name)


@pytest.fixture
def start(volume: str) -> Iterator[Start]:  # which goes after what uses it
    made: list[Container] = []

    def make(folder: Path | None, *options: str, command: tuple[str, ...] = ()) -> Container:
        made.append(Container())
        made[-1].start(folder, options, command)
        return made[-1]

    yield make
    for container in made:
        container.remove()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration that the image's user can read."""
    place = tmp_path / "etc"
    (place / "zones").mkdir(parents=True)
    for path in (place, place / "zones"):
        path.chmod(0o755)
    write(place / "gslb.yaml", CONFIG)
    write(place / "zones" / "gslb.example.com.zone", ZONE)
    return place


def write(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o644)


def test_process_1_is_the_server_with_one_capability_and_a_user_of_its_own(
    start: Start, folder: Path
) -> None:
    served = start(folder, *HARDENED, "--network", "none")
    served.wait_log("ready listen=0.0.0.0:53")
    assert "pid=1\n" in served.log
    assert served.run("cat", "/proc/1/cmdline").stdout.split("\0")[-4:-1] == [
        "serve", "-c", "/etc/gslb/gslb.yaml",
    ]  # fmt: skip
    assert served.process("Uid").split() == ["5353"] * 4
    assert served.process("Gid").split() == ["5353"] * 4
    assert int(served.process("CapEff"), 16) == BIND
    assert int(served.process("CapBnd"), 16) == BIND
    refused = served.run("touch", "/opt/gslb/new")
    assert "Read-only file system" in refused.stderr
    assert served.run("ls", "/var/lib/gslb/last-good").stdout.split() == [
        "gslb.yaml", "origin", "zones",
    ]  # fmt: skip
    # The commands beside it find the same files and the running server.
    explained = served.run("gslb", "explain", "www.gslb.example.com")
    assert "198.18.1.10" in explained.stdout, explained.stderr
    assert served.run(*READINESS).stdout == "ready: http://127.0.0.1:8053/readyz says so\n"


def test_it_answers_reloads_and_stops_as_it_is_told(start: Start, folder: Path) -> None:
    served = start(folder, *HARDENED, "--publish", "127.0.0.1::53/udp")
    served.wait_log("ready ")
    assert served.ask() == {"198.18.1.10"}

    zone = ZONE.replace("198.18.1.10", "198.18.2.10").replace("hostmaster 1 ", "hostmaster 2 ")
    write(folder / "zones" / "gslb.example.com.zone", zone)
    output("kill", "--signal", "HUP", served.name)
    served.wait_log("info reload ")
    assert served.ask() == {"198.18.2.10"}

    began = time.monotonic()
    output("stop", served.name)
    took_s = time.monotonic() - began
    assert served.status() == 0
    assert "stop why=SIGTERM" in served.log
    assert took_s < STOP_S


def test_a_stop_during_the_start_is_heard(start: Start, folder: Path) -> None:
    """The kernel throws away what process 1 has no handler for: it would be killed after 10 s."""
    served = start(folder, *HARDENED, "--network", "none")
    wait_for(lambda: "-m gslb" in docker("top", served.name).stdout, 60)
    began = time.monotonic()
    output("stop", served.name)
    assert served.status() in (0, 143)  # 143: before there was a server
    assert time.monotonic() - began < STOP_S


def test_without_the_capability_one_line_says_what_is_missing(start: Start, folder: Path) -> None:
    bare = ("--read-only", "--network", "none", "--cap-drop", "ALL", *PORTS_GUARDED)
    for options in (bare, (*HARDENED, "--network", "none", "--security-opt", "no-new-privileges")):
        refused = start(folder, *options)
        assert refused.status() == 1
        stops = [line for line in refused.log.splitlines() if " stop " in line]
        assert len(stops) == 1
        assert "permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE" in stops[0]
        assert "Traceback" not in refused.log


def test_where_every_port_is_free_it_needs_no_capability_at_all(start: Start, folder: Path) -> None:
    options = ("--read-only", "--network", "none", "--cap-drop", "ALL")
    free = ("--sysctl", "net.ipv4.ip_unprivileged_port_start=0")
    served = start(folder, *options, *free, "--security-opt", "no-new-privileges")
    served.wait_log("ready ")
    assert int(served.process("CapEff"), 16) == 0
    assert int(served.process("CapBnd"), 16) == 0


def test_the_engine_learns_when_it_answers_and_when_not(start: Start, folder: Path) -> None:
    often = ("--health-interval", "500ms", "--health-start-period", "0s", "--health-retries", "1")
    timeout = ("--health-timeout", "10s")  # its own is shorter
    served = start(folder, *HARDENED, "--network", "none", *often, *timeout)

    def wait_health(expected: str) -> None:
        health = "{{.State.Health.Status}}"
        wait_for(lambda: served.state(health) == expected, 60, lambda: served.state("{{.State}}"))

    wait_health("healthy")
    output("kill", "--signal", "STOP", served.name)  # alive, but it answers nobody
    wait_health("unhealthy")
    assert "no answer in time" in served.state("{{json .State.Health.Log}}")
    output("kill", "--signal", "CONT", served.name)
    wait_health("healthy")


def test_health_is_asked_of_the_configuration_that_the_server_was_told(
    start: Start, folder: Path
) -> None:
    write(folder / "other.yaml", CONFIG + "control: { listen: 127.0.0.1:8099 }\n")
    served = start(folder, "--network", "none", "--init", command=("serve", "--config=other.yaml"))
    served.wait_log("ready ")
    assert served.run(*READINESS).stdout == "ready: http://127.0.0.1:8099/readyz says so\n"
    write(folder / "other.yaml", "control: { listen: here }\n")
    assert served.run(*READINESS).stdout == "ready: http://127.0.0.1:8099/readyz says so\n"


def test_the_state_outlives_the_container(start: Start, folder: Path, volume: str) -> None:
    options = (*HARDENED, "--network", "none", "-v", f"{volume}:/var/lib/gslb")
    first = start(folder, *options)
    first.wait_log("ready ")
    secret = first.run("cat", "/var/lib/gslb/cookies").stdout
    assert secret
    first.remove()

    (folder / "gslb.yaml").unlink()  # the last good configuration is in the volume, too
    second = start(folder, *options)
    second.wait_log("ready ")
    assert "serves=/var/lib/gslb/last-good" in second.log
    assert second.run("cat", "/var/lib/gslb/cookies").stdout == secret
    assert second.run(*READINESS).returncode == 0


def test_no_configuration_is_said_in_one_line(start: Start) -> None:
    container = start(None, "--network", "none")
    assert container.status() == 1
    problems = [line for line in container.log.splitlines() if " problem " in line]
    assert len(problems) == 1
    assert "/etc/gslb/gslb.yaml: error: cannot be read: No such file or directory" in problems[0]


def test_other_commands_stand_where_serve_stands(folder: Path) -> None:
    mount = ("-v", f"{folder}:/etc/gslb:ro")
    assert re.fullmatch(r"gslb \d+\.\d+\.\d+\S*", output("run", "--rm", IMAGE, "--version"))
    checked = docker("run", "--rm", "--network", "none", *mount, IMAGE, "check")
    assert checked.returncode == 0, checked.stderr
    assert "0 errors" in checked.stdout + checked.stderr
    pip = docker("run", "--rm", "--entrypoint", "python3", IMAGE, "-m", "pip")
    assert "No module named pip" in pip.stderr


def test_the_labels_say_what_it_is() -> None:
    config = json.loads(output("inspect", "--format", "{{json .Config}}", IMAGE))
    labels = {
        key.removeprefix("org.opencontainers.image."): value
        for key, value in config["Labels"].items()
    }
    assert labels["title"] == "gslb"
    assert labels["licenses"] == "Apache-2.0"
    assert f"gslb {labels['version']}" == output("run", "--rm", IMAGE, "--version")
    assert config["User"] == "5353:5353"  # numbers: Kubernetes can see that it is not root
    assert config["StopSignal"] == "SIGTERM"
    assert config["Volumes"] == {"/var/lib/gslb": {}}
    assert set(config["ExposedPorts"]) == {"53/udp", "53/tcp"}


def test_it_is_small_above_its_base() -> None:
    label = '{{index .Config.Labels "org.opencontainers.image.base.name"}}'
    base = output("inspect", "--format", label, IMAGE)
    if docker("image", "inspect", base).returncode:
        pytest.skip(f"its base image {base} is not here to be compared with")
    size, base_size = (
        int(output("image", "inspect", "--format", "{{.Size}}", name)) for name in (IMAGE, base)
    )
    assert 0 < size - base_size < LARGEST


def test_every_module_has_its_compiled_form() -> None:
    """The root file system is read-only: what is not compiled is compiled at every start."""
    script = (
        "import importlib.util as u, os, sys\n"
        "import gslb.app.serve, gslb.app.start, gslb.readiness, gslb.cli\n"
        "modules = [m for m in sys.modules.values() if getattr(m, '__cached__', None)]\n"
        "print(len(modules), [m.__name__ for m in modules if not os.path.exists(m.__cached__)])"
    )
    count, absent = output("run", "--rm", "--entrypoint", "python3", IMAGE, "-c", script).split(
        " ", 1
    )
    assert int(count) > 200
    assert absent == "[]"
