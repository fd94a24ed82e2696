"""The world of docker-compose.yml as those inside it see it: which address is whose.

Knows: the networks' numbers, the last part that a container has in each of them. Refuses to
know: containers: what runs at an address. Invariant: it says what docker-compose.yml says; a
test compares them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from gslb.lab.city import City, rank
from gslb.lab.stub import AAAA, A, NameServer
from gslb.lab.world import REGIONS

ZONE: Final = "gslb.example.com"
CORE: Final = 53  # the network that everybody but the regions' applications is in
NETWORK_NUMBERS: Final = {"fra": 1, "iad": 2, "nrt": 3, "core": CORE}
WEB: Final = 10  # last parts
CONTROL_PORT: Final = 8053
VISITS_PORT: Final = 8070
SORRY: Final = "sorry"


def ipv4(network: int, host: int) -> str:
    """An IPv4 address of the lab."""
    return f"198.18.{network}.{host}"


def ipv6(network: int, host: int) -> str:
    """An IPv6 address of the lab; the last part is written as in the IPv4 address."""
    return f"2001:db8:{network}::{host}"


@dataclass(frozen=True, slots=True)
class Server:
    """A name server, by its service's name. `addresses`: what the parent's glue has to say.

    `net` is the service that holds its networks.
    """

    name: str
    net: str
    dns: NameServer
    control_url: str
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class Dweller:
    """The client of a region, by its service's name, and where it tells of its visits."""

    name: str
    region: str
    visits_url: str

    @property
    def tracks(self) -> tuple[str, str]:
        """What it does over each family goes its own way: caches differ."""
        return track(self.name, 4), track(self.name, 6)


def _place_server(name: str, host: int) -> Server:
    address = ipv4(CORE, host)
    return Server(
        name,
        f"{name}-net",
        NameServer(address),
        f"http://{address}:{CONTROL_PORT}",
        frozenset((address, ipv6(CORE, host))),
    )


def _place_dweller(region: str, host: int) -> Dweller:
    url = f"http://{ipv4(CORE, host)}:{VISITS_PORT}/visits"
    return Dweller(f"client-{region}", region, url)


SERVERS: Final = (_place_server("ns1", 11), _place_server("ns2", 12))
DWELLERS: Final = tuple(
    _place_dweller(region.name, 21 + index) for index, region in enumerate(REGIONS)
)
RESOLVER: Final = NameServer(ipv4(CORE, 53))
PARENT: Final = NameServer(ipv4(CORE, 2))
# Without one of these there is nothing to drill.
SERVICES: Final = (
    *(f"web-{region.name}" for region in REGIONS),
    SORRY,
    *(name for server in SERVERS for name in (server.name, server.net)),
    "parent",
    "resolver",
    *(dweller.name for dweller in DWELLERS),
)


def track(name: str, family: int) -> str:
    """A client's visits over one family, as a report names them."""
    return f"{name} over IPv{family}"


def subnet(region: str) -> IPv4Network:
    """The network of a region's clients, as the resolver passes it on."""
    return IPv4Network((ipv4(NETWORK_NUMBERS[region], 0), 24))


def page_address(region: str, rrtype: int) -> str:
    """The address of a region's page, or of the last resort's (`SORRY`)."""
    number = CORE if region == SORRY else NETWORK_NUMBERS[region]
    return ipv6(number, WEB) if rrtype == AAAA else ipv4(number, WEB)


def region_at(address: str) -> str:
    """Whose page is at an address; "" if nobody's: nobody may be sent there."""
    names = (*(one.name for one in REGIONS), SORRY)
    whose = {page_address(name, rrtype): name for name in names for rrtype in (A, AAAA)}
    return whose.get(address, "")


def refuge(region: str, without: Collection[str] = ()) -> str:
    """Where a region's clients go while these regions take nobody: home, if that is none of them.

    The last resort (`SORRY`) without any region.
    """
    here = next(one for one in REGIONS if one.name == region)
    others = tuple(one for one in REGIONS if one.name not in without)
    return rank(City(region, subnet(region), here.at), others)[0] if others else SORRY


def places(without: Collection[str] = (), dwellers: Iterable[Dweller] = DWELLERS) -> dict[str, str]:
    """Where each track belongs while these regions take nobody; all at home while all is well."""
    return {name: refuge(one.region, without) for one in dwellers for name in one.tracks}
