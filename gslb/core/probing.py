"""What may be probed (design: health.md).

Knows: the networks nobody probes by accident (this host, link-local, multicast, the
metadata services of clouds), also when such an IPv4 address hides in an IPv6 one.
Refuses to know: who probes and how. Invariant: pure; the answer depends on the
arguments alone, so configuration and prober cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Forbidden:
    """Why an address is not probed unasked: the network to name in `probe.allow`, and what it is.

    `address` is the one that counts: the inner IPv4 address of a mapped, 6to4 or NAT64 form.
    """

    address: str
    network: str
    kind: str


_FORBIDDEN: Final[tuple[tuple[_Network, str], ...]] = (
    (IPv4Network("0.0.0.0/8"), "this network"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("169.254.169.254/32"), "a metadata service"),
    (IPv4Network("169.254.0.0/16"), "link-local"),
    (IPv4Network("100.100.100.200/32"), "a metadata service"),
    (IPv4Network("168.63.129.16/32"), "a metadata service"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("255.255.255.255/32"), "broadcast"),
    (IPv6Network("::/128"), "unspecified"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("fe80::/10"), "link-local"),
    (IPv6Network("ff00::/8"), "multicast"),
    (IPv6Network("fd00:ec2::254/128"), "a metadata service"),
)

_MAPPED: Final = IPv6Network("::ffff:0:0/96")  # RFC 4291 section 2.5.5.2
_SIX_TO_FOUR: Final = IPv6Network("2002::/16")  # RFC 3056 section 2
_NAT64: Final = (
    IPv6Network("64:ff9b::/96"),  # RFC 6052 section 2.1
    IPv6Network("64:ff9b:1::/48"),  # RFC 8215: sites cut /96 prefixes out of it
)


def refusal(address: str, allow: tuple[str, ...]) -> str | None:
    """Why this address may not be probed, in words, or None if it may.

    `address` is the literal IP address that is connected to, `allow` the networks of
    `probe.allow`. What is no address is refused as well. Never raises.
    """
    try:
        forbidden = forbid(address)
    except ValueError:
        return f"{address} is not an IP address"
    if forbidden is None:
        return None
    forms = (ip_address(address), ip_address(forbidden.address))
    if any(form in network for network in _networks(allow) for form in forms):
        return None
    inner = "" if forbidden.address == address else f" stands for {forbidden.address}, which"
    return f"{address}{inner} is in {forbidden.network} ({forbidden.kind})"


def forbid(address: str) -> Forbidden | None:
    """The entry of the list that an address falls under, or None. Raises ValueError."""
    for form in _forms(ip_address(address)):
        for network, kind in _FORBIDDEN:
            if form in network:
                return Forbidden(str(form), str(network), kind)
    return None


def _forms(address: _Address) -> Iterator[_Address]:
    """The address itself, then the IPv4 address in it if it carries one."""
    yield address
    if isinstance(address, IPv4Address):
        return
    octets = address.packed
    if address in _SIX_TO_FOUR:
        yield IPv4Address(octets[2:6])
    elif address in _MAPPED or any(address in network for network in _NAT64):
        yield IPv4Address(octets[12:16])


@lru_cache(maxsize=16)
def _networks(allow: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(text, strict=False) for text in allow)
