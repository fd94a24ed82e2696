"""What operators name: a data center, a pool or an endpoint (cli.md).

Knows: which names there are, and what was probably meant. Refuses to know: what is done to the
object. Invariant: a name that only one kind has needs no kind; one that several have does.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal

from gslb.core.override import ObjectKind
from gslb.core.world import Configuration

KINDS: Final[Mapping[ObjectKind, str]] = {  # as people call them
    "datacenter": "data center",
    "pool": "pool",
    "endpoint": "endpoint",
}


def find_object(
    config: Configuration, kind: ObjectKind | Literal["object"], name: str
) -> tuple[ObjectKind, str]:
    """The kind and the name as it is kept (addresses in their usual form) of what a name means.

    `kind` "object" looks among all. Raises LookupError if there is no such object, ValueError if
    several have the name; the text says what to do.
    """
    name = _canonical(config, name)
    found = [each for each in _kinds_of(config, name) if kind in (each, "object")]
    if len(found) > 1:
        kinds = " or ".join(f"{each}/{name}" for each in found)
        raise ValueError(f'"{name}" is ambiguous; say {kinds}')
    if found:
        return found[0], name
    what = "data center, pool or endpoint" if kind == "object" else KINDS[kind]
    names = {
        "datacenter": (*config.datacenters,),
        "pool": tuple(pool.name for pool in config.pools),
        "endpoint": tuple(e.name for pool in config.pools for e in pool.endpoints),
    }
    known = [one for each, some in names.items() if kind in (each, "object") for one in some]
    close = get_close_matches(name, known, n=1)
    hint = f'; did you mean "{close[0]}"?' if close else ""
    raise LookupError(f'no {what} "{name}"{hint}')


def _kinds_of(config: Configuration, name: str) -> list[ObjectKind]:
    found: list[ObjectKind] = []
    if name in config.datacenters:
        found.append("datacenter")
    if any(pool.name == name for pool in config.pools):
        found.append("pool")
    address = _address(name)
    packed = None if address is None else address.packed
    if any(
        endpoint.name == name or (packed is not None and packed in (endpoint.ipv4, endpoint.ipv6))
        for pool in config.pools
        for endpoint in pool.endpoints
    ):
        found.append("endpoint")
    return found


def _canonical(config: Configuration, name: str) -> str:
    """An address in its usual form, or the endpoint's own name if all that have it share one."""
    address = _address(name)
    if address is None:
        return name
    names = {
        endpoint.name
        for pool in config.pools
        for endpoint in pool.endpoints
        if address.packed in (endpoint.ipv4, endpoint.ipv6)
    }
    return names.pop() if len(names) == 1 else str(address)


def _address(name: str) -> IPv4Address | IPv6Address | None:
    """The address that a name is, also in brackets or as ::ffff:192.0.2.10."""
    try:
        address = ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return address
    return None if address.scope_id else address.ipv4_mapped or address
