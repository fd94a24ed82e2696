"""What each row of the ground means to one choosing node: the numpy side of `nearest`, `routes`.

Knows: the same rules as `core/nearest.py` and `core/route.py`, for all rows at once. Refuses
to know: ranges, whole policies. Invariant: `orders[numbers[row]]` is what the scalar
reference gives for that row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from gslb.core.client import ClientGroup, Kind, Location, Network
from gslb.core.nearest import EARTH_RADIUS_M, Place, direction, tail_of
from gslb.core.policy import RANKED, Nearest, Routes, places_below
from gslb.core.route import Matcher
from gslb.geo.atlas import Degrees
from gslb.geo.ground import Rows
from gslb.geo.span import Numbers

Order = tuple[int, ...]
Codes = npt.NDArray[np.uint16]
Metres = npt.NDArray[np.int32]

_CHUNK: Final = 1 << 15  # points ranked at a time: keeps (children x points) small
_NOBODY: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Choice:
    """`numbers` has a number for each row, `orders` the children or routes for each number."""

    numbers: Numbers
    orders: tuple[Order, ...]


class Distances:
    """Whole metres from every point to a place, computed once for all nodes."""

    def __init__(self, points: Degrees) -> None:
        radians = np.radians(points)
        latitude, longitude = radians[:, 0], radians[:, 1]
        ring = np.cos(latitude)
        self._axes = (ring * np.cos(longitude), ring * np.sin(longitude), np.sin(latitude))
        self._known: dict[Place, Metres] = {}

    def to(self, place: Place) -> Metres:
        """The distances to a place, in the order of the points."""
        if place not in self._known:
            v = direction(place)
            apart = np.sqrt(sum((u - x) ** 2 for u, x in zip(self._axes, v, strict=True)))
            along = np.sqrt(sum((u + x) ** 2 for u, x in zip(self._axes, v, strict=True)))
            metres = np.rint(2 * EARTH_RADIUS_M * np.arctan2(apart, along))
            self._known[place] = metres.astype(np.int32)
        return self._known[place]


def rank_rows(node: Nearest, rows: Rows, distances: Distances) -> Choice:
    """`core.nearest.rank` for every row."""
    tail = tail_of(node)
    placed = [n for n, child in enumerate(node.children) if places_below(child.node)]
    # A client without a place is tried in configured order: number 0.
    orders = {tuple(range(len(node.children))): 0}
    if not placed or not len(rows.points):
        return Choice(np.zeros(len(rows), np.int64), tuple(orders))
    parts = range(0, len(rows.points), _CHUNK)
    codes = np.concatenate([_ranked(node, placed, distances, begin) for begin in parts])
    distinct, inverse = _distinct(codes)
    meant = []
    for code in distinct.tolist():
        first = [number for number in code[:RANKED] if number != _NOBODY]
        kept = placed
        if node.max_km:
            kept = [n for n, flag in zip(placed, code[RANKED:], strict=True) if flag]
        meant.append(orders.setdefault(tail.complete(first, kept), len(orders)))
    return Choice(np.append(np.array(meant)[inverse], 0)[rows.point], tuple(orders))


def match_rows(node: Routes, groups: Mapping[str, ClientGroup], rows: Rows) -> Choice:
    """`core.route` for every row, asked once for each kind of row that it tells apart."""
    used = [e for r in node.routes if r.group is not None for e in groups[r.group].elements]
    codes = {(element.kind, element.code) for element in used}
    asns = {element.asn for element in used if element.kind is Kind.ASN}
    networks = {element.network for element in used if element.network is not None}

    regions: dict[Location, int] = {}
    region = [
        regions.setdefault(
            Location(
                continent if (Kind.CONTINENT, continent) in codes else "",
                country if (Kind.COUNTRY, country) in codes else "",
                tuple(code for code in subdivisions if (Kind.SUBDIVISION, code) in codes),
            ),
            len(regions),
        )
        for continent, country, subdivisions in rows.regions
    ]
    contexts: dict[frozenset[Network], int] = {}
    context = [
        contexts.setdefault(context.networks & networks, len(contexts)) for context in rows.contexts
    ]
    asn = np.where(np.isin(rows.asn, list(asns)), rows.asn, 0)
    place = np.array(region)[rows.region] * len(contexts) + np.array(context)[rows.context]
    kinds, numbers = np.unique(place << 32 | asn, return_inverse=True)

    matcher = Matcher(node, groups)
    orders: dict[Order, int] = {}
    wheres, insides = list(regions), list(contexts)
    order = []
    for kind in kinds.tolist():
        where, inside = divmod(kind >> 32, len(contexts))
        location = replace(wheres[where], asn=kind & 0xFFFFFFFF)
        matches = matcher.match(location, insides[inside])
        order.append(orders.setdefault(matches, len(orders)))
    return Choice(np.array(order)[numbers], tuple(orders))


def _distinct(codes: Codes) -> tuple[Codes, Numbers]:
    """(the distinct lines, the number of each line)."""
    if codes.shape[1] == RANKED:  # four of 16 bits are one of 64, which sorts far faster
        words, inverse = np.unique(
            np.ascontiguousarray(codes).view(np.uint64).reshape(-1), return_inverse=True
        )
        return words.view(np.uint16).reshape(-1, RANKED), inverse
    lines, inverse = np.unique(codes, axis=0, return_inverse=True)
    return lines, inverse.reshape(-1)


def _ranked(node: Nearest, placed: list[int], distances: Distances, begin: int) -> Codes:
    """For each point the first four children, and a flag for each child that `max_km` keeps."""

    def nearest(number: int) -> Metres:
        below = places_below(node.children[number].node)
        metres: Metres = np.min([distances.to(at)[begin : begin + _CHUNK] for at in below], axis=0)
        return metres

    metres = np.stack([nearest(number) for number in placed])
    kept = metres <= node.max_km * 1000 if node.max_km else np.ones(metres.shape, np.bool_)
    scores = np.stack(
        [_biased(line, node.bias[number]) for line, number in zip(metres, placed, strict=True)]
    )
    scores[~kept] = np.inf
    names, columns = np.array(placed), np.arange(metres.shape[1])
    codes: Codes = np.full((len(columns), RANKED), _NOBODY, np.uint16)
    for place in range(min(RANKED, len(placed))):
        best = np.argmin(scores, axis=0)  # the first of equals, so ties keep configured order
        there = np.isfinite(scores[best, columns])
        codes[there, place] = names[best[there]]
        scores[best, columns] = np.inf
    return np.hstack((codes, kept.T)) if node.max_km else codes


def _biased(metres: Metres, bias: int) -> Degrees:
    exact = metres.astype(np.float64)
    return exact * (1 - bias / 100) if bias >= 0 else exact / (1 + bias / 100)
