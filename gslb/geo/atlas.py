"""The address space as one database sees it: ranges, and what is known of each.

Knows: locations as columns, equal ones made one. Refuses to know: files, policies, client
groups, overrides. Invariant: location 0 is nothing at all, no two locations are equal, and
neighbouring ranges have different locations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gslb.core.client import V4_BITS, V6_BITS
from gslb.core.nearest import Place
from gslb.geo.row import NO_ROW, Region, Row
from gslb.geo.span import Numbers, Span, uniform

Degrees = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of each location, by its number.

    `at` is (n, 2): latitude and longitude in degrees, NaN where unknown. `region` numbers
    `regions`, of which 0 is nothing at all; `asn` 0 is unknown.
    """

    at: Degrees
    region: Numbers
    regions: tuple[Region, ...]
    asn: Numbers


@dataclass(frozen=True, slots=True)
class Atlas:
    """Ranges whose values are location numbers, and the locations."""

    ipv4: Span
    ipv6: Span
    columns: Columns


def tabulate(rows: Iterable[Row]) -> tuple[Columns, Numbers]:
    """(columns with nothing known as number 0 and no row twice, the number of each row)."""
    regions: dict[Region, int] = {NO_ROW[1]: 0}
    known: dict[tuple[Place | None, int, int], int] = {(None, 0, 0): 0}
    numbers = []
    for at, region, asn in rows:
        row = (at, regions.setdefault(region, len(regions)), asn)
        numbers.append(known.setdefault(row, len(known)))
    nan = (float("nan"), float("nan"))
    columns = Columns(
        np.array([at or nan for at, _, _ in known], np.float64).reshape(-1, 2),
        np.array([region for _, region, _ in known], np.int64),
        tuple(regions),
        np.array([asn for _, _, asn in known], np.int64),
    )
    return columns, np.array(numbers, np.int64)


def blank() -> Atlas:
    """The address space of which nothing is known."""
    return Atlas(uniform(V4_BITS), uniform(V6_BITS), tabulate(())[0])
