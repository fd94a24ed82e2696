"""All that clients can be told apart by, laid over one another: databases, exact networks,
overrides, special-purpose ranges (compile.md, The treatment).

Knows: one row for each combination of location, ASN and context that occurs, and the ranges
that have it. Refuses to know: policies. Invariant: row 0 is a client of whom nothing is
known; the spans' values number the rows, and from `len(rows)` on the blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from gslb.core.client import Kind
from gslb.core.world import Configuration
from gslb.geo.atlas import Atlas, Columns, Degrees, blank, tabulate
from gslb.geo.block import Blocks, coarsen
from gslb.geo.centroid import centroid, replacement
from gslb.geo.context import NO_OVERRIDE, Context, contexts_of
from gslb.geo.database import Maps
from gslb.geo.row import Region
from gslb.geo.span import Flags, Numbers, Span

OTHER_ASN: Final = (1 << 32) - 1  # some network that no group names; RFC 7300 reserves it


@dataclass(frozen=True, slots=True)
class Rows:
    """What is known of each kind of client.

    `point` numbers `points` (latitude, longitude), -1 where not even the continent is known;
    `region` and `context` number their tables; `special` is true where nobody covers a
    special-purpose range.
    """

    point: Numbers
    region: Numbers
    asn: Numbers
    context: Numbers
    special: Flags
    points: Degrees
    regions: tuple[Region, ...]
    contexts: tuple[Context, ...]

    def __len__(self) -> int:
        return len(self.point)


@dataclass(frozen=True, slots=True)
class Ground:
    """The address space in rows and blocks of rows."""

    ipv4: Span
    ipv6: Span
    rows: Rows
    blocks: Blocks


@dataclass(frozen=True, slots=True)
class _Places:
    """Locations and ASNs together: for each place its location's number and its ASN."""

    ipv4: Span
    ipv6: Span
    location: Numbers
    asn: Numbers


def lay(config: Configuration, maps: Maps) -> Ground:
    """Lay everything out; `maps` has been surveyed."""
    city = maps.atlases.get("city") or blank()
    places = _places(config, city, maps.atlases.get("asn"))
    count = len(places.location)
    scope4, scope6 = config.settings.geo.max_scope
    ipv4, blocks4 = coarsen(places.ipv4, scope4, count)
    ipv6, blocks6 = coarsen(places.ipv6, scope6, count + len(blocks4))
    blocks = blocks4.joined(blocks6)
    contexts = contexts_of(config)
    wide = len(contexts.all)
    spans = [_crossed(ipv4, contexts.ipv4, wide), _crossed(ipv6, contexts.ipv6, wide)]

    # Most ranges are in no exact network: their row is their place, or comes right after the
    # rows if it is a block. What else occurs gets rows and blocks of its own.
    keys = np.unique(np.concatenate([span.values[span.values % wide != 0] for span in spans]))
    inner, outer = keys[keys // wide < count], keys[keys // wide >= count]
    copied = blocks.taken(outer // wide - count)
    pieces = copied.rows * wide + np.repeat(outer % wide, copied.counts)
    extra = np.union1d(inner, pieces)
    total = count + len(extra)
    copied = Blocks(copied.firsts, count + np.searchsorted(extra, pieces), copied.sizes)

    def number(values: Numbers) -> Numbers:
        base, context = values // wide, values % wide
        return np.where(
            context == 0,
            np.where(base < count, base, base + len(extra)),
            np.where(
                base < count,
                count + np.searchsorted(extra, values),
                total + len(blocks) + np.searchsorted(outer, values),
            ),
        )

    place = np.concatenate((np.arange(count), extra // wide))
    context = np.concatenate((np.zeros(count, np.int64), extra % wide))
    rows = _rows(config, city.columns, places, place, context, contexts.all)
    ipv4, ipv6 = (Span(span.bits, span.starts, number(span.values)) for span in spans)
    return Ground(ipv4, ipv6, rows, blocks.joined(copied))


def _crossed(span: Span, contexts: Span, wide: int) -> Span:
    """Both at once; the value is the span's times `wide`, plus the context's."""
    cut = span.cut(contexts.starts)
    return Span(cut.bits, cut.starts, cut.values * wide + contexts.at(cut.starts))


def _places(config: Configuration, city: Atlas, asn: Atlas | None) -> _Places:
    if asn is None:
        count = len(city.columns.region)
        return _Places(city.ipv4, city.ipv6, np.arange(count), np.zeros(count, np.int64))
    used = {
        element.asn
        for group in config.clients.values()
        for element in group.elements
        if element.kind is Kind.ASN
    }
    known = asn.columns.asn
    other = np.where(known == 0, 0, OTHER_ASN)
    asns, slim = np.unique(np.where(np.isin(known, list(used)), known, other), return_inverse=True)
    wide = len(asns)
    spans = [
        _crossed(city.ipv4, asn.ipv4.mapped(slim).merged(), wide),
        _crossed(city.ipv6, asn.ipv6.mapped(slim).merged(), wide),
    ]
    # Nothing known comes first, occurring or not: it is row 0.
    keys = np.unique(np.concatenate([np.zeros(1, np.int64), *(span.values for span in spans)]))
    ipv4, ipv6 = (
        Span(span.bits, span.starts, np.searchsorted(keys, span.values)).merged() for span in spans
    )
    return _Places(ipv4, ipv6, keys // wide, asns[keys % wide])


def _rows(
    config: Configuration,
    known: Columns,
    places: _Places,
    place: Numbers,
    context: Numbers,
    contexts: tuple[Context, ...],
) -> Rows:
    moved = [replacement(override, 0) for override in config.overrides]
    added, where = tabulate((at.at, (at.continent, at.country, at.subdivisions), 0) for at in moved)
    regions = known.regions + added.regions
    region = np.concatenate((known.region, added.region + len(known.regions)))
    points, point = _points(np.concatenate((known.at, added.at)), region, regions)

    override = np.array([c.override for c in contexts], np.int64)[context]
    location, asn = places.location[place], places.asn[place]
    if len(where):
        replaced = len(known.region) + where[override]  # where there is none it is not taken
        location = np.where(override == NO_OVERRIDE, location, replaced)
    special = np.array([c.special for c in contexts], np.bool_)[context]
    return Rows(
        point[location],
        region[location],
        asn,
        context,
        special & (location == 0) & (asn == 0),
        points,
        regions,
        contexts,
    )


def _points(at: Degrees, region: Numbers, regions: tuple[Region, ...]) -> tuple[Degrees, Numbers]:
    """(distinct coordinates, for each location its number or -1), with centroids as fallback."""
    nan = (float("nan"), float("nan"))
    middle = np.array([centroid(country, continent) or nan for continent, country, _ in regions])
    placed = np.where(np.isnan(at), middle[region], at)
    known = ~np.isnan(placed[:, 0])
    points, inverse = np.unique(placed[known], axis=0, return_inverse=True)
    numbers = np.full(len(at), -1, np.int64)
    numbers[known] = inverse.reshape(-1)
    return points, numbers
