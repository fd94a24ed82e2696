"""The special-purpose address ranges (RFC 6890 and its registries, RFC 5771, RFC 4291).

Knows: the registries' entries that are not globally reachable, and multicast. Refuses to
know: who covers them. Invariant: an IPv6 range is at most /64, as everywhere; ::/64 holds
the unspecified, loopback and IPv4-mapped addresses.
"""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network
from typing import Final

from gslb.core.client import Network

_REGISTRY: Final = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private
    "100.64.0.0/10",  # shared, RFC 6598
    "127.0.0.0/8",  # loopback
    "169.254.0.0/16",  # link-local
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # IETF protocol assignments
    "192.0.2.0/24",  # documentation, RFC 5737
    "192.88.99.0/24",  # 6to4 relay anycast, deprecated by RFC 7526
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarking, RFC 2544
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and limited broadcast
    "::/64",  # unspecified, loopback, IPv4-mapped
    "64:ff9b:1::/48",  # local-use translation, RFC 8215
    "100::/64",  # discard-only, RFC 6666
    "100:0:0:1::/64",  # dummy prefix, RFC 9780
    "2001::/23",  # IETF protocol assignments, Teredo among them
    "2001:db8::/32",  # documentation, RFC 3849
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation, RFC 9637
    "5f00::/16",  # segment routing, RFC 9602
    "fc00::/7",  # unique local
    "fe80::/10",  # link-local
    "ff00::/8",  # multicast
)


def _parse(text: str) -> Network:
    network = ip_network(text)
    first = int(network.network_address)
    if isinstance(network, IPv4Network):
        return Network(4, first, network.prefixlen)
    return Network(6, first >> 64, network.prefixlen)


SPECIAL: Final = tuple(_parse(text) for text in _REGISTRY)
