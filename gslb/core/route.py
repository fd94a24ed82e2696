"""Which routes match a client, and in which order they are tried (steering.md, Nodes).

Knows: network (longer first) > ASN > subdivision (deeper first) > country > continent >
catch-all. Refuses to know: where the location came from, and health. Invariant: every route
appears at most once, at its best match; ties keep the configured order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gslb.core.client import ClientGroup, Element, Kind, Location, Network
from gslb.core.policy import Route, Routes

Specificity = tuple[Kind, int]


def match(
    node: Routes,
    groups: Mapping[str, ClientGroup],
    location: Location,
    networks: Collection[Network],
) -> tuple[int, ...]:
    """The numbers of the routes that match, the most specific first.

    `networks` are those of the client groups that contain the client.
    """
    found: dict[int, Specificity] = {}
    for number, route in enumerate(node.routes):
        best = _best(route, groups, location, networks)
        if best is not None:
            found[number] = best
    return tuple(sorted(found, key=lambda number: found[number], reverse=True))


def _best(
    route: Route,
    groups: Mapping[str, ClientGroup],
    location: Location,
    networks: Collection[Network],
) -> Specificity | None:
    if route.group is None:
        return Kind.ANYBODY, 0
    matches = (specificity(e, location, networks) for e in groups[route.group].elements)
    return max((match for match in matches if match is not None), default=None)


def specificity(
    element: Element, location: Location, networks: Collection[Network]
) -> Specificity | None:
    """How closely an element matches, None if it does not; higher is more specific."""
    match element.kind:
        case Kind.NETWORK:
            if element.network is None or element.network not in networks:
                return None
            return Kind.NETWORK, element.network.length
        case Kind.ASN:
            return (Kind.ASN, 0) if element.asn and element.asn == location.asn else None
        case Kind.SUBDIVISION:
            if element.code not in location.subdivisions:
                return None
            return Kind.SUBDIVISION, location.subdivisions.index(element.code)
        case Kind.COUNTRY:
            return (Kind.COUNTRY, 0) if element.code == location.country else None
        case Kind.CONTINENT:
            return (Kind.CONTINENT, 0) if element.code == location.continent else None
        case Kind.ANYBODY:
            return Kind.ANYBODY, 0
