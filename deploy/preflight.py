"""The preflight: what can be known to fail before anything is started, and what to do about it.

Knows: the docker command, ports and routes of this machine (proc(5)). Refuses to know: what the lab
is for. Invariant: it changes nothing; whatever is wrong is one `ObstacleError` of one line.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, ip_interface
from pathlib import Path

from gslb.serve.holder import find_holder

from deploy.composition import Port, Subnet
from deploy.ending import ENDING

ENGINE_LIMIT_S = 10.0
OLDEST_COMPOSE = (1, 28)  # the first with profiles
LAST_PORT = 65535
PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
NETWORK = "com.docker.compose.network"
ONE_OFF = "com.docker.compose.oneoff"
EMPTY_WORDS = ("Encountered errors while bringing up", "exit status ")
# Routes as wide as these are ways out, as a VPN splits the default route; the lab may lie in one.
WIDEST = {4: 8, 6: 16}
Interface = IPv4Interface | IPv6Interface


class ObstacleError(Exception):
    """One line: what is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A compose tool: the command, and its version."""

    command: tuple[str, ...]
    version: tuple[int, ...]

    def __str__(self) -> str:
        return " ".join(self.command)


def ask(*command: str, limit_s: float = 60.0) -> str:
    """What a command prints; ObstacleError with its last line if it fails or takes too long."""
    name = " ".join(command[:2])
    try:
        with ENDING.heard():
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=limit_s,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise ObstacleError(f"{name} did not end within {limit_s:g} s") from None
    except OSError as error:
        raise ObstacleError(f"{command[0]} cannot be run: {error.strerror}") from None
    if done.returncode:
        raise ObstacleError(f"{name}: {last_line(done.stderr + done.stdout)}")
    return done.stdout


def last_line(text: str) -> str:
    """The last line that says something; both tools may end with one that does not."""
    lines = (line.strip() for line in reversed(text.splitlines()))
    return next((line for line in lines if line and not line.startswith(EMPTY_WORDS)), "no word")


def find_engine(limit_s: float = ENGINE_LIMIT_S) -> str:
    """The engine's version."""
    if shutil.which("docker") is None:
        raise ObstacleError(
            "the docker command is missing: install Docker Engine (docs.docker.com/engine/install;"
            " on Debian: apt-get install docker.io)"
        )
    try:
        return ask("docker", "version", "--format", "{{.Server.Version}}", limit_s=limit_s).strip()
    except ObstacleError as refusal:
        reason = str(refusal).removeprefix("docker version: ")
    if "permission denied" in reason.lower():
        raise ObstacleError(
            "no permission to talk to the Docker engine: become root, or a member of the group"
            " docker (usermod -aG docker YOU, then log in anew)"
        )
    host = os.environ.get("DOCKER_HOST")
    raise ObstacleError(
        f"the Docker engine does not answer ({reason}): "
        + (f"correct or unset DOCKER_HOST={host}" if host else "start it (systemctl start docker)")
    )


def find_tool() -> Tool:
    """`docker compose` if it is there, else `docker-compose`."""
    old = ""
    for command in (("docker", "compose"), ("docker-compose",)):
        with suppress(ObstacleError):
            found = re.match(r"v?(\d+)\.(\d+)", ask(*command, "version", "--short"))
            if found is None:
                continue
            version = (int(found[1]), int(found[2]))
            if version >= OLDEST_COMPOSE:
                return Tool(command, version)
            old = f" ({' '.join(command)} is {found[0]})"
    raise ObstacleError(
        "neither docker compose nor docker-compose 1.28 or newer is there"
        f"{old}: install the compose plugin (docs.docker.com/compose/install;"
        " on Debian: apt-get install docker-compose)"
    )


def check_numbers(numbers: Iterable[tuple[str, str]]) -> None:
    """Whether each variable for a port has a port of its own."""
    holders: dict[str, str] = {}
    for name, number in dict(numbers).items():
        if not re.fullmatch("[0-9]{1,5}", number) or int(number) > LAST_PORT:
            raise ObstacleError(f"{name}={number} is no port: give it a number up to {LAST_PORT}")
        other = holders.setdefault(number, name)
        if other != name and int(number):
            raise ObstacleError(f"{other} and {name} are both {number}: give them different ports")


def check_files(folder: Path, names: Iterable[str]) -> None:
    """Whether what is mounted into containers can be read there, by users who are not its owner."""
    for name in names:
        place = folder / name
        for path in (place, *(place.rglob("*") if place.is_dir() else ())):
            wanted = 0o005 if path.is_dir() else 0o004
            if path.exists() and path.stat().st_mode & wanted != wanted:
                mode = path.stat().st_mode & 0o7777
                raise ObstacleError(
                    f"{path.relative_to(folder)} (mode {mode:04o}) cannot be read in a container,"
                    " which has a user of its own: chmod -R a+rX deploy geodata"
                )


def check_ports(ports: Iterable[Port]) -> None:
    """Whether each port is free, by binding it for a moment."""
    wanted: dict[str, Port] = {}
    for port in ports:
        other = wanted.setdefault(str(port), port)
        if other is not port:
            raise ObstacleError(
                f"{port} is wanted by {other.service} and {port.service}: give"
                f" {other.variable or other.service} and {port.variable or port.service}"
                " different ports"
            )
        kind = socket.SOCK_DGRAM if port.protocol == "udp" else socket.SOCK_STREAM
        family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
        with socket.socket(family, kind) as trial:
            if kind == socket.SOCK_STREAM:  # connections that ended a moment ago hold nothing
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((port.address, port.number))
            except OSError as error:
                if error.errno == errno.EACCES:  # the engine may, though we may not
                    continue
                raise ObstacleError(_taken(port, error)) from None


def _taken(port: Port, error: OSError) -> str:
    if error.errno != errno.EADDRINUSE:
        return f"{port}, for {port.service}, cannot be had: {error.strerror}"
    holder = name_holder(port)
    remedy = (
        f"choose another with {port.variable}=NUMBER make …" if port.variable else "free that port"
    )
    return f"{port}, for {port.service}, is taken{holder and ' by '}{holder}: {remedy}"


def name_holder(port: Port) -> str:
    """Who holds a port: "dnsmasq (pid 812)", "the container one_ns1_1"; "" if nobody can tell."""
    holder = find_holder("udp" if port.protocol == "udp" else "tcp", port.address, port.number)
    if holder.startswith("docker-proxy "):
        with suppress(ObstacleError):
            container = ask("docker", "ps", "--filter", f"publish={port.number}/{port.protocol}",
                            "--format", "{{.Names}}").strip()  # fmt: skip
            if container:
                return f"the container {container.splitlines()[0]}"
    return holder


@dataclass(frozen=True, slots=True)
class DockerNetwork:
    """A network of the engine; `project` is the compose project it is of, or "".

    `key`: what docker-compose.yml calls it, or "".
    """

    name: str
    project: str
    subnets: tuple[Subnet, ...]
    key: str = ""
    created_s: float = 0.0


def list_networks() -> tuple[DockerNetwork, ...]:
    """The engine's networks."""
    ids = ask("docker", "network", "ls", "--quiet", "--no-trunc").split()
    form = (
        f'{{{{.Name}}}}|{{{{index .Labels "{PROJECT}"}}}}|{{{{index .Labels "{NETWORK}"}}}}|'
        "{{.Created.Unix}}|{{range .IPAM.Config}}{{.Subnet}} {{end}}"
    )
    lines = ask("docker", "network", "inspect", "--format", form, *ids).splitlines()
    return tuple(
        DockerNetwork(
            name,
            project,
            tuple(ip_interface(net).network for net in nets.split()),
            key,
            float(created_s),
        )
        for name, project, key, created_s, nets in (line.split("|") for line in lines if line)
    )


def check_subnets(
    subnets: Iterable[Subnet],
    project: str,
    networks: Sequence[DockerNetwork],
    routes: Sequence[tuple[str, Interface]],
) -> None:
    """Whether each subnet is free: of other docker networks, and of this machine's own routes."""
    mine = {net for network in networks if network.project == project for net in network.subnets}
    for subnet in subnets:
        if subnet in mine:
            continue
        for network in networks:
            if any(overlap(subnet, other) for other in network.subnets):
                raise ObstacleError(_met(subnet, network))
        for device, route in routes:
            if overlap(subnet, route.network) and route.network.prefixlen >= WIDEST[route.version]:
                raise ObstacleError(
                    f"the subnet {subnet} overlaps {route} on {device} of this machine: take that"
                    " interface or route down (ip addr, ip route), or change the subnet in"
                    " docker-compose.yml and deploy/lab"
                )


def _met(subnet: Subnet, network: DockerNetwork) -> str:
    met = f"the subnet {subnet} overlaps the docker network {network.name}"
    if network.project:
        return (
            f"{met}, of the compose project {network.project}: there can be one lab at a time;"
            f" end that one (COMPOSE_PROJECT_NAME={network.project} make compose-down, where it"
            f" was started) or, if nothing uses it, docker network rm {network.name}"
        )
    return f"{met}: if nothing uses it, docker network rm {network.name}"


def overlap(one: Subnet, other: Subnet) -> bool:
    """Whether two subnets have an address in common."""
    return one.version == other.version and one.overlaps(other)


def list_routes(proc: Path = Path("/proc/net")) -> Iterator[tuple[str, Interface]]:
    """(device, network) of every route and (device, address) of every address, from /proc."""
    with suppress(OSError):
        for line in (proc / "route").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            # Addresses are printed as the machine's own integers.
            number, mask = (
                str(IPv4Address(struct.pack("=I", int(fields[at], 16)))) for at in (1, 7)
            )
            yield fields[0], IPv4Interface(f"{number}/{mask}")
    with suppress(OSError):  # an address of its own, such as 198.18.1.1/32, has no line there
        trie = (proc / "fib_trie").read_text(encoding="ascii")
        for own in dict.fromkeys(re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", trie)):
            yield "an interface", IPv4Interface(own)
    with suppress(OSError):
        for line in (proc / "ipv6_route").read_text(encoding="ascii").splitlines():
            fields = line.split()
            yield fields[9], IPv6Interface((bytes.fromhex(fields[0]), int(fields[1], 16)))


def check_ipv6(proc: Path = Path("/proc/net")) -> None:
    """Whether this kernel has IPv6, which the lab's networks need."""
    if (proc / "route").exists() and not (proc / "if_inet6").exists():
        raise ObstacleError(
            "this kernel has no IPv6, which the lab's networks need: start it without"
            " ipv6.disable=1 (or modprobe ipv6)"
        )
