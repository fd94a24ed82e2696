"""The lab's world: its files, and the ports it takes."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import dns.zone
import pytest
import yaml
from gslb.lab.city import City, rank, read_cities
from gslb.lab.world import FILES, NAME, REGIONS, TTL_S, LabError, World, claim, compose, write

# What is free now is to be free a moment later: no lab may start meanwhile.

ROOT = Path(__file__).resolve().parents[2]
ZONE = "zones/gslb.example.com.zone"
BUSY = World(
    server_port=5301,
    control_port=8054,
    page_port=8100,
    witness_port=8101,
    regions=tuple(replace(region, port=region.port + 10) for region in REGIONS),
)


@contextmanager
def taken(host: str, kind: socket.SocketKind, port: int) -> Iterator[None]:
    """While a port is somebody's: ours, or whose it is already."""
    with socket.socket(socket.AF_INET, kind) as sock:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            sock.bind((host, port))
            if kind == socket.SOCK_STREAM:
                sock.listen()
        yield


def test_the_repositorys_files_are_the_labs_world_with_the_default_ports() -> None:
    assert (ROOT / "gslb.yaml").read_text(encoding="utf-8") == compose(World())
    assert (ROOT / ZONE).read_bytes() == (FILES / ZONE).read_bytes()


def test_the_ports_really_taken_are_written() -> None:
    world = yaml.safe_load(compose(BUSY))
    assert world["server"]["listen"] == ["127.0.0.1:5301", "[::1]:5301"]
    assert world["control"]["listen"] == "127.0.0.1:8054"
    assert world["checks"]["web"]["port"] == 8100
    assert world["probe"]["witness"] == ["tcp://127.0.0.1:8101"]
    for region in BUSY.regions:
        (endpoint,) = world["pools"][f"web-{region.name}"]["endpoints"]
        expected = {"ipv4": region.address, "ipv6": "::1", "check_port": region.port}
        assert endpoint == expected
        assert world["datacenters"][region.name]["at"] == list(region.at)


def test_a_machine_without_ipv6_gets_a_world_without_ipv6() -> None:
    world = yaml.safe_load(compose(World(ipv6=False)))
    assert world["server"]["listen"] == ["127.0.0.1:5300"]
    endpoints = [e for pool in world["pools"].values() for e in pool["endpoints"]]
    assert not [endpoint for endpoint in endpoints if "ipv6" in endpoint]
    assert world["probe"]["allow"] == ["127.0.0.0/8"]


def test_every_endpoint_that_is_checked_may_be_probed() -> None:
    world = yaml.safe_load(compose(World()))
    allowed = [ip_network(network) for network in world["probe"]["allow"]]
    for pool in world["pools"].values():
        for endpoint in pool["endpoints"] if "check" in pool else []:
            for family in ("ipv4", "ipv6"):
                assert any(ip_address(endpoint[family]) in network for network in allowed)


def test_the_world_is_written_into_a_new_folder(tmp_path: Path) -> None:
    path = write(BUSY, tmp_path / "new" / "world")
    assert path.read_text(encoding="utf-8") == compose(BUSY)
    assert (path.parent / ZONE).read_bytes() == (ROOT / ZONE).read_bytes()
    for name in ("lab.mmdb", "lab-asn.mmdb"):
        copy = path.parent / "geodata" / name
        assert copy.read_bytes() == (ROOT / "geodata" / name).read_bytes()
        assert not copy.is_symlink()


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(LabError, match="is not empty"):
        write(World(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_folder_that_cannot_be_made_is_an_error_for_people(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match="cannot write the lab's world"):
        write(World(), tmp_path / "file" / "world")


def test_a_port_in_use_is_said_and_another_one_taken() -> None:
    with claim(lambda line: None) as world:
        before = world
    said: list[str] = []
    with (
        taken("127.0.0.1", socket.SOCK_DGRAM, before.server_port),
        taken("127.0.0.1", socket.SOCK_STREAM, before.control_port),
        taken("127.10.2.1", socket.SOCK_STREAM, before.page_port),
        claim(said.append) as world,
    ):
        pass
    assert world.server_port != before.server_port
    assert world.control_port != before.control_port
    assert world.page_port != before.page_port
    for what, port in (
        ("the server", world.server_port),
        ("the control address", world.control_port),
        ("the regions' page", world.page_port),
    ):
        assert [line for line in said if line.endswith(f"in use: {what} takes {port}")]


def test_no_two_listeners_of_a_world_get_the_same_port() -> None:
    with claim(lambda line: None) as world:
        ports = find_ports(world)
    assert len(set(ports)) == len(ports)


def find_ports(world: World) -> list[int]:
    ports = [world.server_port, world.control_port, world.page_port, world.witness_port]
    return ports + [region.port for region in world.regions]


def test_two_labs_at_once_share_no_port_though_nothing_listens_yet() -> None:
    with claim(lambda line: None) as one, claim(lambda line: None) as other:
        assert not set(find_ports(one)) & set(find_ports(other))
    for port in (*find_ports(one), *find_ports(other)):
        with socket.socket(socket.AF_UNIX) as sign:
            sign.bind(f"\0gslb-lab-{port}")  # the signs are gone with their labs


def test_the_zone_has_the_name_that_is_watched_with_the_ttl_that_is_measured() -> None:
    lines = (FILES / ZONE).read_text(encoding="utf-8").splitlines()
    label = NAME.split(".")[0]
    (line,) = [line.split(";")[0] for line in lines if "STEER web" in line and label in line]
    assert line.split() == [label, str(TTL_S), "STEER", "web"]


def test_the_zone_is_a_standard_master_file_but_for_steer() -> None:
    text = (FILES / ZONE).read_text(encoding="utf-8")
    static = "\n".join(line for line in text.splitlines() if "STEER" not in line.split(";")[0])
    zone = dns.zone.from_text(static, origin="gslb.example.com", relativize=False)
    assert len(zone.find_rdataset("gslb.example.com.", "NS")) == 2


def test_there_are_some_twenty_cities_each_with_its_own_network() -> None:
    cities = read_cities()
    assert 18 <= len(cities) <= 24
    assert len({city.name for city in cities}) == len({city.network for city in cities})
    assert all(city.client.is_loopback and city.client in city.network for city in cities)


@pytest.mark.parametrize(
    ("city", "order"),
    [
        ("London", ("fra", "iad", "nrt")),
        ("Los Angeles", ("iad", "nrt", "fra")),
        ("São Paulo", ("iad", "fra", "nrt")),
        ("Mumbai", ("fra", "nrt", "iad")),
        ("Sydney", ("nrt", "iad", "fra")),
        ("Johannesburg", ("fra", "iad", "nrt")),
    ],
)
def test_regions_are_ranked_by_great_circle(city: str, order: tuple[str, ...]) -> None:
    (found,) = [c for c in read_cities() if c.name == city]
    assert rank(found, REGIONS) == order


def test_no_city_is_so_far_between_regions_that_rounding_decides() -> None:
    def distance(city: City, name: str) -> float:
        (region,) = [r for r in REGIONS if r.name == name]

        # The chord through the globe, in its radii: another formula than the one under test.
        def point(at: tuple[float, float]) -> tuple[float, float, float]:
            lat, lon = map(math.radians, at)
            return (
                math.cos(lat) * math.cos(lon),
                math.cos(lat) * math.sin(lon),
                math.sin(lat),
            )

        return math.dist(point(city.at), point(region.at))

    for city in read_cities():
        first, second, third = (distance(city, name) for name in rank(city, REGIONS))
        assert first < second - 0.005 < third - 0.01
