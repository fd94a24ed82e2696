"""A small globe for the geography tests: places, policies, and small real databases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

from gslb.core.client import ClientGroup, Element, GeoOverride, Kind, Location, Network
from gslb.core.policy import (
    Child,
    DataCenter,
    Endpoint,
    Nearest,
    Node,
    Policy,
    Pool,
    PoolNode,
    Route,
    Routes,
)
from gslb.core.setting import GeoSettings, Settings
from gslb.core.table import PolicyTable, Treatment
from gslb.core.world import Configuration
from gslb.geo.database import Maps, open_maps
from mmdb_writer import MMDBWriter
from netaddr import IPSet

PLACES = {
    "fra": (50.11, 8.68),
    "iad": (39.04, -77.49),
    "nrt": (35.76, 140.39),
    "gru": (-23.43, -46.47),
    "syd": (-33.95, 151.18),
    "jnb": (-26.13, 28.23),
    "lhr": (51.47, -0.45),
    "nowhere": None,
}
POOLS = {
    name: Pool(n, name, (Endpoint(name, bytes((192, 0, 2, n)), None),), DataCenter(name, at))
    for n, (name, at) in enumerate(PLACES.items())
}


class Tree:
    """Makes policy nodes with ids of their own."""

    def __init__(self) -> None:
        self._id = 0

    def _next(self) -> int:
        self._id += 1
        return self._id

    def pool(self, name: str) -> Child:
        return Child(name, PoolNode(self._next(), POOLS[name]))

    def nearest(self, *names: str, bias: Mapping[str, int] | None = None, km: float = 0) -> Nearest:
        shift = tuple((bias or {}).get(name, 0) for name in names)
        return Nearest(self._next(), tuple(self.pool(name) for name in names), shift, km)

    def routes(self, *routes: tuple[str | None, Node | str]) -> Routes:
        made = []
        for group, target in routes:
            child = self.pool(target) if isinstance(target, str) else Child("child", target)
            made.append(Route(group, child))
        return Routes(self._next(), tuple(made))


def network(text: str) -> Network:
    """A network of the core from its text form."""
    parsed = ip_network(text)
    first = int(parsed.network_address)
    if parsed.version == 4:
        return Network(4, first, parsed.prefixlen)
    return Network(6, first >> 64, parsed.prefixlen)


def element(text: str) -> Element:
    """A line of a client group, as gslb.yaml writes it."""
    if "/" in text:
        return Element(Kind.NETWORK, network=network(text))
    if text.startswith("AS") and text[2:].isdigit():
        return Element(Kind.ASN, asn=int(text[2:]))
    if text.startswith("continent:"):
        return Element(Kind.CONTINENT, text.removeprefix("continent:"))
    return Element(Kind.SUBDIVISION if "-" in text else Kind.COUNTRY, text)


def groups(**named: str) -> dict[str, ClientGroup]:
    """Client groups from words: `groups(dach="DE AT CH")`."""
    return {
        name: ClientGroup(name, tuple(element(word) for word in words.split()))
        for name, words in named.items()
    }


def override(text: str, **location: object) -> GeoOverride:
    """An entry of geo.overrides."""
    return GeoOverride(network(text), Location(**location))  # type: ignore[arg-type]


def configure(
    *policies: Policy,
    geo: GeoSettings = GeoSettings(),  # noqa: B008
    clients: Mapping[str, ClientGroup] | None = None,
    overrides: Iterable[GeoOverride] = (),
) -> Configuration:
    """A configuration in which every policy is steered."""
    named = {policy.name: policy for policy in policies}
    return Configuration(
        settings=Settings(geo=geo),
        zones=(),
        datacenters={},
        checks={},
        pools=tuple(POOLS.values()),
        policies=named,
        clients=clients or {},
        overrides=tuple(overrides),
        tests=(),
        steered=dict.fromkeys(named, 30),
    )


def city(
    country: str = "",
    at: tuple[float, float] | None = None,
    continent: str = "",
    subdivisions: Iterable[str] = (),
) -> dict[str, object]:
    """A record in MaxMind's City layout."""
    record: dict[str, object] = {"names": {"en": "a part that nobody reads"}}
    if country:
        record["country"] = {"iso_code": country, "geoname_id": 1}
    if continent:
        record["continent"] = {"code": continent}
    if at:
        record["location"] = {"latitude": at[0], "longitude": at[1], "accuracy_radius": 100}
    if subdivisions:
        record["subdivisions"] = [{"iso_code": code} for code in subdivisions]
    return record


def write_database(
    path: Path,
    records: Mapping[str, dict[str, object]],
    kind: str = "Test-City",
    version: int = 6,
) -> str:
    """Writes a database of these networks, the narrower over the wider; gives its path."""
    writer = MMDBWriter(version, kind, ipv4_compatible=version == 6)
    for text in sorted(records, key=lambda text: ip_network(text).prefixlen):
        writer.insert_network(IPSet([text]), records[text])
    writer.to_db_file(str(path))
    return str(path)


def opened(path: str, **more: object) -> tuple[GeoSettings, Maps]:
    """The settings that name a City database, and the maps; there must be no problem."""
    settings = GeoSettings(city=path, **more)  # type: ignore[arg-type]
    maps, problems = open_maps(settings)
    assert problems == ()
    return settings, maps


def number(address: str) -> tuple[int, int]:
    """(family, address as the tables count it) of an address in text form."""
    parsed = ip_address(address)
    return (4, int(parsed)) if parsed.version == 4 else (6, int(parsed) >> 64)


def treatment(table: PolicyTable, address: str) -> Treatment | None:
    """What a table says of an address; None where only the source address could decide."""
    found, _ = table.leaf(*number(address))
    return None if found == table.special else table.treatments[found]


def scope(table: PolicyTable, address: str) -> int:
    """The length of an address's leaf."""
    return table.leaf(*number(address))[1]
