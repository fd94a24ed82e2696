"""Who asks: client groups, their elements, and where an address is.

Knows: the five kinds of element and their order of specificity (steering.md, routes);
networks as integers; a location as plain data. Refuses to know: databases and files.
Invariant: an IPv6 network is at most /64, and its `first` is the upper 64 bits only,
because no treatment tells apart what is closer (config.md, Validation).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from gslb.core.policy import Family

V4_BITS = 32
V6_BITS = 64  # the upper half; the lower one is never looked at


class Kind(IntEnum):
    """What an element matches by; a higher number is more specific."""

    ANYBODY = 0
    CONTINENT = 1
    COUNTRY = 2
    SUBDIVISION = 3
    ASN = 4
    NETWORK = 5


@dataclass(frozen=True, slots=True, order=True)
class Network:
    """`first` has 32 bits for IPv4, and for IPv6 is the upper 64 bits of the address."""

    family: Family
    first: int
    length: int

    @property
    def bits(self) -> int:
        """Bits of `first`: 32 or 64."""
        return V4_BITS if self.family == 4 else V6_BITS

    @property
    def last(self) -> int:
        """The last address of the network, in the unit of `first`."""
        return self.first | ((1 << (self.bits - self.length)) - 1)


@dataclass(frozen=True, slots=True)
class Element:
    """One line of a client group.

    `code`: a continent ("EU"), a country ("DE"), a subdivision ("US-CA"), upper case;
    `asn` and `network` for the other two kinds.
    """

    kind: Kind
    code: str = ""
    asn: int = 0
    network: Network | None = None


@dataclass(frozen=True, slots=True)
class ClientGroup:
    """A named set of elements."""

    name: str
    elements: tuple[Element, ...]


def named_networks(groups: Iterable[ClientGroup]) -> frozenset[Network]:
    """Every network that a client group names."""
    return frozenset(
        element.network
        for group in groups
        for element in group.elements
        if element.kind is Kind.NETWORK and element.network is not None
    )


@dataclass(frozen=True, slots=True)
class Location:
    """What is known of an address. Codes are upper case ISO 3166; `at` in degrees.

    `subdivisions` run from the widest to the narrowest, each as "GB-ENG". `asn` 0 = unknown.
    """

    continent: str = ""
    country: str = ""
    subdivisions: tuple[str, ...] = ()
    at: tuple[float, float] | None = None
    asn: int = 0


NOWHERE = Location()


@dataclass(frozen=True, slots=True)
class GeoOverride:
    """`geo.overrides`: replaces country, subdivisions and coordinates of a network together."""

    network: Network
    location: Location
