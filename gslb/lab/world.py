"""The lab's world: three regions, the ports really taken, and the files that say so.

Knows: the regions' addresses, which ports are free, how gslb.yaml and zones/ are written.
Refuses to know: what runs on them. Invariant: the world with the default ports is, octet
for octet, the repository's gslb.yaml and zones/; nothing that exists is ever overwritten.
"""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Final

from gslb.errors import GslbError

FILES: Final = Path(__file__).parent / "files"
ZONE_FILE: Final = Path("zones", "gslb.example.com.zone")
GEODATA: Final = ("lab.mmdb", "lab-asn.mmdb", "lab.csv")

# The name whose failover is watched, and its TTL; a test holds them against the zone file.
NAME: Final = "www.gslb.example.com"
TTL_S: Final = 10

PORTS_TRIED: Final = 200


class LabError(GslbError):
    """The lab cannot go on: what stands in its way, for people."""


@dataclass(frozen=True, slots=True)
class Region:
    """A data center of the lab. `port` is its own one, where it is probed on both families.

    The page is at `address` and the world's `page_port`. `at` is (latitude, longitude).
    """

    name: str
    address: str
    port: int
    at: tuple[float, float]


REGIONS: Final = (
    Region("fra", "127.10.1.1", 8081, (50.11, 8.68)),
    Region("iad", "127.10.2.1", 8082, (39.04, -77.49)),
    Region("nrt", "127.10.3.1", 8083, (35.76, 140.39)),
)


@dataclass(frozen=True, slots=True)
class Scenery:
    """What a drill has otherwise than the live lab: its gslb.yaml, and more records in the zone.

    `config` is a file of FILES, `ttls` other TTLs: label → TTL of a name that policy `web` steers,
    as `www` does. `name` is what clients ask for, and `ttl_s` its TTL. `dual`: regions are probed
    on IPv6 too, where there is any.
    """

    config: str = "gslb.yaml"
    ttls: Mapping[str, int] = field(default_factory=dict)
    name: str = NAME
    ttl_s: int = TTL_S
    dual: bool = True
    values: Mapping[str, str] = field(default_factory=dict)  # more of what `config` leaves open

    @property
    def records(self) -> str:
        """The lines that the zone has besides."""
        return "".join(f"{label} {ttl_s} STEER web\n" for label, ttl_s in self.ttls.items())


STANDARD: Final = Scenery()


@dataclass(frozen=True, slots=True)
class World:
    """Where everything listens. `ipv6` False: this machine has no ::1."""

    server_port: int = 5300
    control_port: int = 8053
    page_port: int = 8080
    witness_port: int = 8090
    regions: tuple[Region, ...] = REGIONS
    ipv6: bool = True

    @property
    def control_url(self) -> str:
        """The root of the server's control address."""
        return f"http://127.0.0.1:{self.control_port}"

    def page_url(self, address: str) -> str:
        """The page of the region at an address, without a path."""
        return f"http://{address}:{self.page_port}"


def compose(world: World, scenery: Scenery = STANDARD) -> str:
    """The text of gslb.yaml."""
    listen = ["127.0.0.1", "[::1]"] if world.ipv6 else ["127.0.0.1"]
    values = {
        "listen": ", ".join(json.dumps(f"{host}:{world.server_port}") for host in listen),
        "control": f"127.0.0.1:{world.control_port}",
        "allow": '127.0.0.0/8, "::1/128"' if world.ipv6 else "127.0.0.0/8",
        "page": str(world.page_port),
        "witness": f"tcp://127.0.0.1:{world.witness_port}",
        "sorry": 'ipv4: 192.0.2.250, ipv6: "2001:db8::250"' if world.ipv6 else "ipv4: 192.0.2.250",
    }
    for region in world.regions:
        pair = f'ipv4: {region.address}, ipv6: "::1"' if world.ipv6 else f"ipv4: {region.address}"
        values[region.name] = f"{pair}, check_port: {region.port}"
    template = Template((FILES / scenery.config).read_text(encoding="utf-8"))
    return template.substitute(values, **scenery.values)


def write(world: World, folder: Path, scenery: Scenery = STANDARD) -> Path:
    """Writes gslb.yaml, zones/ and geodata/ into a folder; returns the path of gslb.yaml.

    Raises LabError if the folder is not empty, or cannot be written.
    """
    path = folder / "gslb.yaml"
    try:
        if folder.exists() and any(folder.iterdir()):
            raise LabError(f"{folder} is not empty; name a new folder for the lab's world")
        (folder / "geodata").mkdir(parents=True)
        for name in GEODATA:
            shutil.copyfile(FILES / "geodata" / name, folder / "geodata" / name)
        shutil.copytree(FILES / "zones", folder / "zones")
        if scenery.ttls:
            with (folder / ZONE_FILE).open("a", encoding="utf-8") as zone:
                zone.write(scenery.records)
        path.write_text(compose(world, scenery), encoding="utf-8")
    except OSError as error:
        raise LabError(f"cannot write the lab's world: {error}") from error
    return path


def make_folder(asked: str | None) -> Path:
    """The folder asked for, or a new one among the temporary files; absolute."""
    return Path(asked).absolute() if asked else Path(tempfile.mkdtemp(prefix="gslb-lab-"))


@contextmanager
def claim(say: Callable[[str], None]) -> Iterator[World]:
    """The world on free ports, the default ones where they are free; says which are not.

    No other lab takes them until the end, whether or not something listens there just then.
    Raises LabError where this machine cannot give each region its own loopback address.
    """
    with ExitStack() as held:
        yield _claim(say, held)


def _claim(say: Callable[[str], None], held: ExitStack) -> World:
    ipv6 = _free("::1", 0, socket.SOCK_STREAM)
    both = ("127.0.0.1", "::1") if ipv6 else ("127.0.0.1",)

    def take(what: str, hosts: tuple[str, ...], wanted: int, *, udp: bool = False) -> int:
        port = _find_port(hosts, wanted, held, udp=udp)
        if port != wanted:
            say(f"port {wanted} is in use: {what} takes {port}")
        return port

    for region in REGIONS:
        if not _free(region.address, 0, socket.SOCK_STREAM):
            raise LabError(
                f"cannot listen on {region.address}: the lab needs all of 127.0.0.0/8, "
                "as Linux has it"
            )
    page_hosts = tuple(region.address for region in REGIONS)
    return World(
        server_port=take("the server", both, 5300, udp=True),
        control_port=take("the control address", ("127.0.0.1",), 8053),
        page_port=take("the regions' page", page_hosts, 8080),
        witness_port=take("the witness", ("127.0.0.1",), 8090),
        regions=tuple(
            Region(
                region.name,
                region.address,
                take(f"region {region.name}", (region.address, *both[1:]), region.port),
                region.at,
            )
            for region in REGIONS
        ),
        ipv6=ipv6,
    )


def _find_port(hosts: tuple[str, ...], wanted: int, held: ExitStack, *, udp: bool) -> int:
    kinds = (socket.SOCK_STREAM, socket.SOCK_DGRAM) if udp else (socket.SOCK_STREAM,)
    for port in range(wanted, wanted + PORTS_TRIED):
        if all(_free(host, port, kind) for host in hosts for kind in kinds):
            sign = _reserve(port)
            if sign is not None:
                held.enter_context(sign)
                return port
    raise LabError(f"no free port from {wanted} to {wanted + PORTS_TRIED - 1}")


def _reserve(port: int) -> socket.socket | None:
    """A sign to other labs that a port is ours; None if another has put up its own.

    An abstract socket (unix(7)): there can be one of a name, and it is gone when we are.
    """
    sign = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sign.bind(f"\0gslb-lab-{port}")
    except OSError:
        sign.close()
        return None
    return sign


def _free(host: str, port: int, kind: socket.SocketKind) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, kind) as sock:
            if kind == socket.SOCK_STREAM:
                # What a lab that just ended left in TIME_WAIT is no reason to move.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
    except OSError:
        return False
    return True
