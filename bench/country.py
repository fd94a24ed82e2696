"""Countries and their nearest data center, for servers that cannot choose by distance.

Knows: the City database's countries and locations. Refuses to know: any server's configuration.
Invariant: made from the database and the client subnets that are asked about, so that a country
goes where most of its sampled networks would go by distance.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import cache
from itertools import islice
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

import maxminddb

from bench.question import client_subnets
from bench.world import DATACENTERS

SAMPLE = 50_000
Place = tuple[float, float]


@cache
def nearest_by_country(database: Path) -> dict[str, str]:
    """The address of the data center for each ISO 3166 code that a sampled network lies in."""
    votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
    with maxminddb.open_database(database) as reader:
        for subnet in islice(client_subnets(), SAMPLE):
            match reader.get(".".join(map(str, [*subnet, 0]))):
                case {
                    "country": {"iso_code": str(code)},
                    "location": {"latitude": float(latitude), "longitude": float(longitude)},
                }:
                    votes[code][nearest((latitude, longitude))] += 1
    return {code: counter.most_common(1)[0][0] for code, counter in sorted(votes.items())}


def nearest(place: Place) -> str:
    """The address of the data center nearest to a place."""
    return min(DATACENTERS, key=lambda datacenter: arc(place, datacenter[1]))[2]


def arc(one: Place, other: Place) -> float:
    """The angle between two places on the globe, in radians (haversine formula)."""
    (latitude, longitude), (to_latitude, to_longitude) = (map(radians, at) for at in (one, other))
    square = sin((to_latitude - latitude) / 2) ** 2
    square += cos(latitude) * cos(to_latitude) * sin((to_longitude - longitude) / 2) ** 2
    return 2 * asin(sqrt(min(1.0, square)))
