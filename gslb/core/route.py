"""Which routes match a client, and in which order they are tried (steering.md, Nodes).

Knows: network (longer first) > ASN > subdivision (deeper first) > country > continent >
catch-all. Refuses to know: where the location came from, and health. Invariant: every route
appears at most once, at its best match; ties keep the configured order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gslb.core.client import ClientGroup, Element, Kind, Location, Network
from gslb.core.policy import Routes

Specificity = tuple[Kind, int]


def facts(location: Location, networks: Collection[Network]) -> dict[Element, Specificity]:
    """Every element that matches a client, and how closely; higher is more specific.

    `networks` are those of the client groups that contain the client.
    """
    found = {
        Element(Kind.NETWORK, network=network): (Kind.NETWORK, network.length)
        for network in networks
    }
    if location.asn:
        found[Element(Kind.ASN, asn=location.asn)] = (Kind.ASN, 0)
    for depth, code in enumerate(location.subdivisions):
        found[Element(Kind.SUBDIVISION, code)] = (Kind.SUBDIVISION, depth)
    if location.country:
        found[Element(Kind.COUNTRY, location.country)] = (Kind.COUNTRY, 0)
    if location.continent:
        found[Element(Kind.CONTINENT, location.continent)] = (Kind.CONTINENT, 0)
    return found


class Matcher:
    """One `routes` node, ready to be asked about many clients.

    A group may name a hundred thousand networks; a client is in few of them.
    """

    def __init__(self, node: Routes, groups: Mapping[str, ClientGroup]) -> None:
        self._routes: dict[Element, list[int]] = {}
        self._catch_all = [n for n, route in enumerate(node.routes) if route.group is None]
        for number, route in enumerate(node.routes):
            if route.group is not None:
                for element in groups[route.group].elements:
                    self._routes.setdefault(element, []).append(number)

    def match(self, location: Location, networks: Collection[Network]) -> tuple[int, ...]:
        """The numbers of the routes that match, the most specific first."""
        best: dict[int, Specificity] = dict.fromkeys(self._catch_all, (Kind.ANYBODY, 0))
        for element, specificity in facts(location, networks).items():
            for number in self._routes.get(element, ()):
                best[number] = max(specificity, best.get(number, specificity))
        # Sorting is stable in reverse too, but must start from the configured order.
        return tuple(sorted(sorted(best), key=lambda number: best[number], reverse=True))


def match(
    node: Routes,
    groups: Mapping[str, ClientGroup],
    location: Location,
    networks: Collection[Network],
) -> tuple[int, ...]:
    """`Matcher.match` for a single client."""
    return Matcher(node, groups).match(location, networks)
