"""Whose network decides: the client subnet, or the packet's source (steering.md, The client).

Knows: addresses as integers, IPv4 inside IPv6 sockets, special-purpose leaves. Refuses to
know: packets, databases. Invariant: a scope is the leaf of the address that was *asked
about*, whoever chose the treatment.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from gslb.core.policy import Family
from gslb.core.table import PolicyTable

_MAPPED: Final = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, slots=True)
class Subject:
    """An address: `address` has 32 bits (IPv4) or is the upper 64 bits (IPv6).

    `packed` is the whole address, 4 or 16 octets; `prefix` its /24 or /56 for `sticky`.
    """

    family: Family
    address: int
    packed: bytes

    @property
    def prefix(self) -> bytes:
        """The octets of the /24 or /56."""
        return self.packed[:3] if self.family == 4 else self.packed[:7]

    def __str__(self) -> str:
        return str(ip_address(self.packed))


def subject_of(packed: bytes, mapped: bool = True) -> Subject:
    """The subject of a packed address; a peer ::ffff:a.b.c.d is IPv4 if `mapped`.

    In a client subnet nothing is mapped between families (steering.md, The client, 4).
    """
    if mapped and len(packed) == 16 and packed.startswith(_MAPPED):
        packed = packed[12:]
    if len(packed) == 4:
        return Subject(4, int.from_bytes(packed, "big"), packed)
    return Subject(6, int.from_bytes(packed[:8], "big"), packed)


def parse_subject(text: str) -> Subject:
    """The first address of an address or network in text form. Raises ValueError."""
    if "/" in text:
        return subject_of(ip_network(text, strict=False).network_address.packed)
    address: IPv4Address | IPv6Address = ip_address(text)
    return subject_of(address.packed)


@dataclass(frozen=True, slots=True)
class Located:
    """A treatment number, the scope of the subject's leaf, and whose prefix `sticky` hashes."""

    treatment: int
    scope: int
    prefix: bytes


def locate(table: PolicyTable, subject: Subject | None, source: Subject) -> Located:
    """Where a client stands; `subject` is its ECS network, None without or if disregarded.

    An uncovered special-purpose subject leaves the choice to the source (steering.md, 3); a
    special source is a client of whom nothing is known.
    """
    asked = subject or source
    number, scope = table.leaf(asked.family, asked.address)
    decider = asked
    if number == table.special and subject is not None:
        number, _ = table.leaf(source.family, source.address)
        decider = source
    if number == table.special:
        number = table.unknown
    return Located(number, scope, decider.prefix)
