"""The world that every peer serves: one zone, three data centers, one map.

Knows: names, addresses, coordinates. Refuses to know: any server's configuration. Invariant: two
peers' zones differ in one line, the steered name's.
"""

from __future__ import annotations

from importlib.util import find_spec
from ipaddress import IPv4Address
from pathlib import Path

ZONE = "bench.example"
STEERED = f"www.{ZONE}"
STATIC_NAMES = 10_000
FIRST_STATIC = IPv4Address("198.18.0.0")

# As in config.md: name, (latitude, longitude), the address that clients near it get.
DATACENTERS = (
    ("fra", (50.11, 8.68), "192.0.2.10"),
    ("iad", (39.04, -77.49), "198.51.100.10"),
    ("nrt", (35.76, 140.39), "203.0.113.10"),
)


def static_name(number: int) -> str:
    """The name of one static record."""
    return f"host-{number:05d}.{ZONE}"


def compose_zone(steer: str, serial: int = 1) -> str:
    """The zone as a master file; `steer` is type and data of the steered name's record."""
    lines = [
        f"$ORIGIN {ZONE}.",
        "$TTL 300",
        f"@ SOA ns1 hostmaster {serial} 7200 900 1209600 60",
        "@ NS ns1",
        "@ NS ns2",
        "ns1 A 192.0.2.53",
        "ns2 A 198.51.100.53",
        f"www 30 {steer}",
    ]
    lines += [f"{static_name(number)}. A {FIRST_STATIC + number}" for number in range(STATIC_NAMES)]
    return "\n".join(lines) + "\n"


def find_city_database() -> Path | None:
    """The full-size City database of the development dependencies (July 2018)."""
    spec = find_spec("_maxminddb_geolite2")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).with_name("GeoLite2-City.mmdb")
    return path if path.is_file() else None
