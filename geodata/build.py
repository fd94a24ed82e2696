"""Builds lab.mmdb and lab-asn.mmdb from the table lab.csv: `python geodata/build.py`.

Knows: the table's columns and the City and ASN record layouts of the MaxMind DB format.
Refuses to know: real places of real networks; for those see README.md. Invariant: the
same table gives the same octets, so that a test can tell whether the committed databases
are those of the committed table (the build time is a constant for this reason).

Needs `mmdb_writer` (the `dev` extra).
"""

from __future__ import annotations

import csv
import ipaddress
import sys
from collections.abc import Callable
from pathlib import Path

from mmdb_writer import MmdbU16, MmdbU32, MMDBWriter
from netaddr import IPSet

FOLDER = Path(__file__).resolve().parent
BUILD_EPOCH = 1_767_225_600  # 2026-01-01T00:00:00Z

NAMES = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
COUNTRIES = {
    "AT": "Austria",
    "AU": "Australia",
    "BR": "Brazil",
    "CA": "Canada",
    "DE": "Germany",
    "ES": "Spain",
    "FR": "France",
    "GB": "United Kingdom",
    "IN": "India",
    "JP": "Japan",
    "KR": "South Korea",
    "MX": "Mexico",
    "NG": "Nigeria",
    "PL": "Poland",
    "SE": "Sweden",
    "SG": "Singapore",
    "TR": "Türkiye",
    "US": "United States",
    "ZA": "South Africa",
}
SUBDIVISIONS = {
    "AU-NSW": "New South Wales",
    "BR-SP": "São Paulo",
    "CA-ON": "Ontario",
    "DE-HE": "Hesse",
    "ES-MD": "Madrid",
    "FR-IDF": "Île-de-France",
    "GB-ENG": "England",
    "IN-MH": "Maharashtra",
    "JP-13": "Tokyo",
    "KR-11": "Seoul",
    "MX-CMX": "Mexico City",
    "NG-LA": "Lagos",
    "PL-14": "Mazovia",
    "SE-AB": "Stockholm",
    "TR-34": "Istanbul",
    "US-CA": "California",
    "US-IL": "Illinois",
    "US-NY": "New York",
    "US-VA": "Virginia",
    "ZA-GP": "Gauteng",
}

Row = dict[str, str]
Record = dict[str, object]


class LabWriter(MMDBWriter):
    """A writer whose build time does not depend on when it runs."""

    def _build_meta(self) -> Record:
        return {**super()._build_meta(), "build_epoch": BUILD_EPOCH}


def city_record(row: Row) -> Record:
    """The row as a GeoLite2-City record; what the table leaves empty is absent."""
    record: Record = {}
    if row["city"]:
        record["city"] = {"names": {"en": row["city"]}}
    record["continent"] = {"code": row["continent"], "names": {"en": NAMES[row["continent"]]}}
    if row["country"]:
        country = row["country"]
        record["country"] = {"iso_code": country, "names": {"en": COUNTRIES[country]}}
    if row["latitude"]:
        record["location"] = {
            "accuracy_radius": MmdbU16(20),
            "latitude": float(row["latitude"]),
            "longitude": float(row["longitude"]),
        }
    if row["subdivision"]:
        code = row["subdivision"]
        # In the database a subdivision goes without its country: "ENG", not "GB-ENG".
        record["subdivisions"] = [
            {"iso_code": code.partition("-")[2], "names": {"en": SUBDIVISIONS[code]}}
        ]
    return record


def asn_record(row: Row) -> Record:
    """The row as a GeoLite2-ASN record; the numbers are those of RFC 5398."""
    return {
        "autonomous_system_number": MmdbU32(int(row["asn"])),
        "autonomous_system_organization": f"Lab network {row['asn']}",
    }


def read_table(path: Path) -> list[Row]:
    """The rows of the table, wider networks first: the writer lets later ones cut earlier."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted(rows, key=lambda row: ipaddress.ip_network(row["network"]).prefixlen)


def write(path: Path, kind: str, rows: list[Row], compose: Callable[[Row], Record]) -> None:
    """Writes one database with both address families in one tree."""
    writer = LabWriter(
        ip_version=6,
        ipv4_compatible=True,
        database_type=kind,
        languages=["en"],
        description="Made-up places for the gslb lab, from geodata/lab.csv",
    )
    for row in rows:
        writer.insert_network(IPSet([row["network"]]), compose(row))
    writer.to_db_file(str(path))


def build(folder: Path) -> None:
    """Writes lab.mmdb and lab-asn.mmdb into a folder."""
    rows = read_table(FOLDER / "lab.csv")
    numbered = [row for row in rows if row["asn"]]
    # geoip2 opens a database only if its type names the layout it expects.
    write(folder / "lab.mmdb", "gslb-lab-GeoLite2-City", rows, city_record)
    write(folder / "lab-asn.mmdb", "gslb-lab-GeoLite2-ASN", numbered, asn_record)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
