"""The cities whose clients the lab simulates, and which regions are near them.

Knows: the bundled table's lab networks, great-circle distances. Refuses to know: what the
server answers: this is what it is held against. Invariant: one client network per city.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from gslb.lab.world import FILES, Region

LAB_CLIENT: Final = "lab client"  # what the table's note says of their networks


@dataclass(frozen=True, slots=True)
class City:
    """A city, its client network (a /24 of 127/8), and (latitude, longitude)."""

    name: str
    network: IPv4Network
    at: tuple[float, float]

    @property
    def client(self) -> IPv4Address:
        """The one client that the lab simulates there."""
        return self.network[10]

    @property
    def resolver(self) -> str:
        """The address of the resolver that the city shares with its part of the world."""
        return str(IPv4Network((self.network.network_address, 16), strict=False)[53])


def read_cities() -> tuple[City, ...]:
    """The cities of the bundled table, in its order."""
    with (FILES / "geodata" / "lab.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            City(
                row["city"],
                IPv4Network(row["network"]),
                (float(row["latitude"]), float(row["longitude"])),
            )
            for row in csv.DictReader(file)
            if row["note"] == LAB_CLIENT
        )


def rank(city: City, regions: tuple[Region, ...]) -> tuple[str, ...]:
    """The regions' names, the nearest to the city first."""
    ordered = sorted(regions, key=lambda region: _angle(city.at, region.at))
    return tuple(region.name for region in ordered)


def _angle(a: tuple[float, float], b: tuple[float, float]) -> float:
    """The central angle between two places in radians (haversine)."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, place)) for place in (a, b))
    square = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * math.asin(math.sqrt(square))
