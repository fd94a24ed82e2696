"""`routes`, one client at a time."""

from __future__ import annotations

import pytest
from gslb.core.client import NOWHERE, ClientGroup, Element, Kind, Location, Network
from gslb.core.policy import Child, Endpoint, Pool, PoolNode, Route, Routes
from gslb.core.route import match

WIDE, NARROW = Network(4, 0x51000000, 8), Network(4, 0x51024500, 24)
GROUPS = {
    name: ClientGroup(name, elements)
    for name, elements in {
        "europe": (Element(Kind.CONTINENT, "EU"),),
        "britain": (Element(Kind.COUNTRY, "GB"), Element(Kind.COUNTRY, "IE")),
        "england": (Element(Kind.SUBDIVISION, "GB-ENG"),),
        "westminster": (Element(Kind.SUBDIVISION, "GB-WSM"),),
        "isp": (Element(Kind.ASN, asn=64500),),
        "wide": (Element(Kind.NETWORK, network=WIDE),),
        "narrow": (Element(Kind.NETWORK, network=NARROW),),
        "mixed": (Element(Kind.CONTINENT, "EU"), Element(Kind.NETWORK, network=NARROW)),
    }.items()
}
LONDONER = Location("EU", "GB", ("GB-ENG", "GB-WSM"), (51.5, -0.1), 64500)
POOL = Pool(0, "pool", (Endpoint("e", b"\1\1\1\1", None),))


def routes(*names: str | None) -> Routes:
    return Routes(1, tuple(Route(name, Child("pool", PoolNode(2, POOL))) for name in names))


def order(names, location=LONDONER, networks=frozenset({WIDE, NARROW})):
    return [names[n] for n in match(routes(*names), GROUPS, location, networks)]


def test_the_most_specific_match_comes_first():
    names = ["europe", "britain", "england", "westminster", "isp", "wide", "narrow", None]
    assert order(names) == [
        *("narrow", "wide", "isp", "westminster", "england", "britain", "europe"),
        None,
    ]


@pytest.mark.parametrize(
    ("location", "networks", "expected"),
    [
        (NOWHERE, frozenset(), [None]),
        (Location("EU"), frozenset(), ["europe", None]),
        (Location("EU", "IE"), frozenset(), ["britain", "europe", None]),
        (NOWHERE, frozenset({WIDE}), ["wide", None]),
        (Location(asn=64500), frozenset(), ["isp", None]),
        (Location(asn=64501), frozenset(), [None]),
    ],
)
def test_only_what_matches_is_tried(location, networks, expected):
    assert order(["europe", "britain", "isp", "wide", None], location, networks) == expected


def test_each_route_is_tried_once_at_its_best_match():
    assert order(["britain", "mixed", None]) == ["mixed", "britain", None]
    assert order(["britain", "mixed", None], networks=frozenset()) == ["britain", "mixed", None]


def test_equal_matches_keep_the_configured_order():
    names = ["europe", "britain", "europe", None]
    assert match(routes(*names), GROUPS, LONDONER, frozenset()) == (1, 0, 2, 3)
