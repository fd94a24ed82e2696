"""Where one address is: databases and overrides asked directly, for people and for traces.

Knows: the same rules as the tables, for a single address and without majority: what the
databases say of exactly this address. Refuses to know: treatments. Invariant: never decides
an answer; a database that cannot be read says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from gslb.core.client import V4_BITS, V6_BITS, GeoOverride, Location, Network, named_networks
from gslb.core.route import facts
from gslb.core.world import Configuration
from gslb.geo.centroid import placed, replacement
from gslb.geo.database import BrokenDatabaseError, Database, Maps, names_of
from gslb.geo.special import SPECIAL

Address = IPv4Address | IPv6Address


class Locator:
    """Answers for the configuration and the databases that it was made with."""

    def __init__(self, config: Configuration, maps: Maps) -> None:
        self._clients = config.clients
        self._maps = maps
        self._overrides = {override.network: override for override in config.overrides}
        self._overridden = _Nest(self._overrides)
        self._named = _Nest(named_networks(config.clients.values()))

    def locate(self, address: bytes) -> Location:
        """The location of a packed address, 4 or 16 octets; with the country's or continent's
        centroid where the coordinates are unknown."""
        subject = ip_address(address)
        asn = self._maps.asn.location(subject).asn if self._maps.asn else 0
        override = self.override(address)
        if override is not None:
            return replacement(override, asn)
        found = self._maps.city.location(subject) if self._maps.city else Location()
        return placed(replace(found, asn=asn))

    def networks(self, address: bytes) -> frozenset[Network]:
        """The networks of client groups that contain a packed address."""
        return frozenset(self._named.around(ip_address(address)))

    def override(self, address: bytes) -> GeoOverride | None:
        """The narrowest override of a packed address."""
        around = self._overridden.around(ip_address(address))
        return self._overrides[around[0]] if around else None

    def describe(self, address: str) -> dict[str, object]:
        """All that is known of an address in text form, JSON-able. Raises ValueError."""
        subject = ip_address(address)
        location = self.locate(subject.packed)
        networks = self.networks(subject.packed)
        special = _Nest(SPECIAL).around(subject)
        override = self.override(subject.packed)
        matching = facts(location, networks).keys()
        groups = [
            group.name
            for group in self._clients.values()
            if not matching.isdisjoint(group.elements)
        ]
        found: dict[str, object] = {
            "address": str(subject),
            "continent": location.continent,
            "country": location.country,
            "subdivisions": list(location.subdivisions),
            "at": list(location.at) if location.at else None,
            "asn": location.asn,
            "from": "override" if override else "city" if self._maps.city else "nothing",
            "override": _text(override.network) if override else None,
            "special": _text(special[0]) if special else None,
            "clients": groups,
            "networks": sorted(_text(network) for network in networks),
        }
        for database in self._maps.databases:
            found[f"{database.info.kind}_database"] = _said(database, subject)
        return found


class _Nest:
    """Networks that can be asked which of them contain an address."""

    def __init__(self, networks: Iterable[Network]) -> None:
        self._networks = frozenset(networks)
        lengths = {(network.family, network.length) for network in self._networks}
        self._lengths = sorted(lengths, reverse=True)

    def around(self, address: Address) -> list[Network]:
        """The narrowest first."""
        number = int(address) if address.version == 4 else int(address) >> 64
        bits = V4_BITS if address.version == 4 else V6_BITS
        candidates = (
            Network(family, number >> (bits - length) << (bits - length), length)
            for family, length in self._lengths
            if family == address.version
        )
        return [network for network in candidates if network in self._networks]


def _text(network: Network) -> str:
    first = network.first if network.family == 4 else network.first << 64
    packed = first.to_bytes(4 if network.family == 4 else 16, "big")
    return str(ip_network((packed, network.length)))


def _said(database: Database, address: Address) -> dict[str, object]:
    """What a database says of an address, in its own words."""
    said: dict[str, object] = {"path": database.info.path, "type": database.info.type}
    try:
        record, network = database.raw(address)
    except BrokenDatabaseError as error:
        return said | {"problem": str(error)}
    said["network"] = network
    if database.info.kind == "city":
        return said | {"names": names_of(database, address)}
    owner = record.get("autonomous_system_organization")
    return said | {"organization": owner if isinstance(owner, str) else ""}
