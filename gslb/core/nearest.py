"""In which order `nearest` tries its children: the scalar reference (steering.md, Nodes).

Knows: great-circle distance, bias, `max_km`, and that only the first four children are told
apart per client. Refuses to know: databases, centroids (a location brings its coordinates),
health. Invariant: `geo/choice.py` says the same for many clients at once; a property test
compares the two.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gslb.core.client import Location
from gslb.core.policy import RANKED, Nearest, Node, places_below

Place = tuple[float, float]
Places = tuple[Place, ...]

EARTH_RADIUS_M: Final = 6_371_008.8  # mean radius of the IUGG


def direction(at: Place) -> tuple[float, float, float]:
    """The unit vector from the Earth's centre to (latitude, longitude) in degrees."""
    latitude, longitude = math.radians(at[0]), math.radians(at[1])
    ring = math.cos(latitude)
    return ring * math.cos(longitude), ring * math.sin(longitude), math.sin(latitude)


def distance_m(a: Place, b: Place) -> int:
    """The great-circle distance of two (latitude, longitude), in whole metres.

    The haversine's angle as 2·atan2(|u - v|, |u + v|) over unit vectors: the textbook form
    loses decimetres near the antipode, this one is exact everywhere.
    """
    u, v = direction(a), direction(b)
    apart = math.sqrt(sum((x - y) ** 2 for x, y in zip(u, v, strict=True)))
    along = math.sqrt(sum((x + y) ** 2 for x, y in zip(u, v, strict=True)))
    return round(2 * EARTH_RADIUS_M * math.atan2(apart, along))


def biased(distance: float, bias: int) -> float:
    """A distance as `bias` (-99..99) sees it: positive draws clients in, negative pushes away."""
    if bias >= 0:
        return distance * (1 - bias / 100)
    return distance / (1 + bias / 100)


def child_distance_m(node: Node, at: Place) -> int | None:
    """From a place to the nearest data center below a node, whatever its health; None if no
    data center below has coordinates."""
    return min((distance_m(place, at) for place in places_below(node)), default=None)


def rank(node: Nearest, location: Location) -> tuple[int, ...]:
    """The children's numbers in the order in which they are tried for a client."""
    if location.at is None:
        return tuple(range(len(node.children)))
    distances = {}
    for number, child in enumerate(node.children):
        distance = child_distance_m(child.node, location.at)
        if distance is not None and (not node.max_km or distance <= node.max_km * 1000):
            distances[number] = distance
    kept = sorted(distances, key=lambda number: biased(distances[number], node.bias[number]))
    return tail_of(node).complete(kept[:RANKED], kept)


@dataclass(frozen=True, slots=True)
class Tail:
    """What follows the ranked children.

    `following[i]`: all others with coordinates by (biased) distance from child i.
    `unplaced`: the children without coordinates, last, in configured order.
    """

    following: tuple[tuple[int, ...], ...]
    unplaced: tuple[int, ...]

    def complete(self, first: Sequence[int], kept: Collection[int]) -> tuple[int, ...]:
        """The whole order, from the ranked children and all that `max_km` keeps."""
        rest = self.following[first[0]] if first else ()
        near = (number for number in rest if number in kept and number not in first)
        return (*first, *near, *self.unplaced)


def tail_of(node: Nearest) -> Tail:
    """The part of a node's order that depends on its first child only."""
    places = [places_below(child.node) for child in node.children]
    placed = [number for number, where in enumerate(places) if where]

    def after(first: int) -> tuple[int, ...]:
        def away(number: int) -> float:
            return biased(_between_m(places[first], places[number]), node.bias[number])

        return tuple(sorted((number for number in placed if number != first), key=away))

    following = tuple(after(first) if where else () for first, where in enumerate(places))
    return Tail(following, tuple(number for number, where in enumerate(places) if not where))


def _between_m(some: Places, others: Places) -> int:
    return min(distance_m(a, b) for a in some for b in others)
