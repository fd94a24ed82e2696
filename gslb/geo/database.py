"""Opens MaxMind databases and asks them about one address: the only door to maxminddb, geoip2.

Knows: which files are databases of the right kind, the raw search tree, and how a record of
the City, Country or ASN layout becomes a `Location`. Refuses to know: overrides, client
groups, ranges. Invariant: whatever the file holds, the outcome is a value or a `Problem`,
and nothing is kept mapped into memory, so that a file cut short in place cannot kill us.
"""

from __future__ import annotations

import os
import re
import stat
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import TYPE_CHECKING, Final

import geoip2.database
import maxminddb
from geoip2.errors import AddressNotFoundError
from maxminddb.const import MODE_AUTO, MODE_FILE, MODE_MEMORY

from gslb.core.client import NOWHERE, Location
from gslb.core.setting import GeoSettings
from gslb.core.world import MapInfo
from gslb.errors import Problem, Where
from gslb.geo.centroid import continent_of
from gslb.geo.row import NO_ROW, Region, Row
from gslb.geo.watch import Fingerprint, fingerprint, fingerprint_of

if TYPE_CHECKING:
    from gslb.geo.atlas import Atlas

Address = IPv4Address | IPv6Address

LARGEST_OCTETS: Final = 1 << 30
SEPARATOR_OCTETS: Final = 16  # between search tree and data section (MaxMind DB 2.0)
_KINDS: Final = {"city": ("city", "country", "enterprise"), "asn": ("asn", "isp")}
_WANTED: Final = {"city": "a City or Country database", "asn": "an ASN database"}
_CODE: Final = re.compile(r"[A-Z]{2}")
_SUBDIVISION: Final = re.compile(r"[A-Z0-9]{1,3}")
_DEEPEST: Final = 4  # levels of subdivision; MaxMind gives two

# What maxminddb raises on octets that are no database, and the system on a file.
_BROKEN: Final = (
    maxminddb.InvalidDatabaseError,
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
    SystemError,  # the C extension's way to say that it lost its own error
)


class BrokenDatabaseError(Exception):
    """The file is not the database it should be; the text says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The numbers that the search tree is read by."""

    node_count: int
    record_size: int
    ip_version: int

    @property
    def tree_octets(self) -> int:
        """Octets of the search tree."""
        return self.node_count * self.record_size // 4


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Database:
    """One open database."""

    info: MapInfo
    layout: Layout
    fingerprint: Fingerprint
    _reader: maxminddb.Reader = field(repr=False)

    def raw(self, address: Address) -> tuple[dict[str, object], str]:
        """(record, its network) of an address; an empty record if there is none."""
        if address.version == 6 and self.layout.ip_version == 4:
            return {}, "::/0"
        try:
            record, length = self._reader.get_with_prefix_len(address)
        except _BROKEN as error:
            raise BrokenDatabaseError(f"no record of {address} can be read: {error}") from error
        network = ip_network((address, length), strict=False)
        return (record if isinstance(record, dict) else {}), str(network)

    def location(self, address: Address) -> Location:
        """Where an address is; `NOWHERE` if the database does not say or cannot be read."""
        try:
            return location_of(row_of(self.raw(address)[0]))
        except BrokenDatabaseError:
            return NOWHERE

    def content(self) -> bytes:
        """The whole file."""
        try:
            with open(self.info.path, "rb") as file:
                return file.read(LARGEST_OCTETS)
        except OSError as error:
            raise BrokenDatabaseError(f"cannot be read: {error.strerror}") from error

    def is_unchanged(self) -> bool:
        """True if the file is still the one that was opened."""
        return fingerprint(self.info.path) == self.fingerprint

    def records(self, addresses: Iterable[str], fast: bool) -> Iterator[Row]:
        """What is known of many addresses. Raises BrokenDatabaseError.

        `fast` reads with the C extension, fifteen times faster, which corrupt data can crash.
        """
        try:
            mode = MODE_AUTO if fast else MODE_MEMORY
            with maxminddb.open_database(self.info.path, mode) as reader:
                for address in addresses:
                    record = reader.get(address)
                    yield row_of(record) if isinstance(record, dict) else NO_ROW
        except _BROKEN as error:
            raise BrokenDatabaseError(f"the data section is corrupt: {error}") from error


@dataclass(frozen=True, slots=True)
class Maps:
    """The databases that could be opened; `atlases`, by kind, once surveyed (survey.py)."""

    city: Database | None = None
    asn: Database | None = None
    atlases: Mapping[str, Atlas] = field(default_factory=dict)

    @property
    def databases(self) -> tuple[Database, ...]:
        """Those that are there."""
        return tuple(database for database in (self.city, self.asn) if database is not None)

    @property
    def infos(self) -> tuple[MapInfo, ...]:
        """What is in use."""
        return tuple(database.info for database in self.databases)


def open_maps(settings: GeoSettings) -> tuple[Maps, tuple[Problem, ...]]:
    """Open the databases of `geo`; one that cannot be used is a problem, and is left out."""
    opened: dict[str, Database] = {}
    problems = []
    for kind, path in (("city", settings.city), ("asn", settings.asn)):
        if path is None:
            continue
        try:
            opened[kind] = open_database(kind, path)
        except BrokenDatabaseError as error:
            problems.append(broken(kind, path, str(error)))
    return Maps(opened.get("city"), opened.get("asn")), tuple(problems)


def broken(kind: str, path: str, reason: str) -> Problem:
    """The problem of a database that cannot be used."""
    return Problem(
        Where(path), f"geo.{kind}", reason, f"put {_WANTED[kind]} in MaxMind format (.mmdb) there"
    )


def names_of(database: Database, address: Address) -> dict[str, object]:
    """The English names that a City or Country database has for an address."""
    try:
        with geoip2.database.Reader(database.info.path, ["en"], MODE_FILE) as reader:
            if "City" not in database.info.type:
                return {"country": reader.country(str(address)).country.name}
            city = reader.city(str(address))
            return {
                "country": city.country.name,
                "subdivisions": [name for part in city.subdivisions if (name := part.name)],
                "city": city.city.name,
            }
    except (AddressNotFoundError, *_BROKEN):
        return {}


def location_of(row: Row) -> Location:
    """What a database says of a place, as a location."""
    at, (continent, country, subdivisions), asn = row
    return Location(continent, country, subdivisions, at, asn)


def row_of(record: dict[str, object]) -> Row:
    """What a City, Country or ASN record says; whatever is malformed counts as unknown."""
    place, asn = record.get("location"), record.get("autonomous_system_number")
    listed = record.get("subdivisions")
    return (
        _place(place.get("latitude"), place.get("longitude")) if isinstance(place, dict) else None,
        _region(
            _text(record.get("continent"), "code"),
            _text(record.get("country"), "iso_code"),
            tuple([_text(level, "iso_code") for level in listed[:_DEEPEST]])
            if isinstance(listed, list)
            else (),
        ),
        asn if isinstance(asn, int) and 0 < asn < 1 << 32 else 0,
    )


def open_database(kind: str, path: str) -> Database:
    """Open one database of a kind, "city" or "asn". Raises BrokenDatabaseError."""
    try:
        status = os.stat(path)
        # A named pipe would block for ever, a device never end.
        if not stat.S_ISREG(status.st_mode):
            raise BrokenDatabaseError("is a directory or a device, not a file")
        seen = fingerprint_of(status)
        if seen.size > LARGEST_OCTETS:
            raise BrokenDatabaseError("is larger than 1 GiB")
        if not seen.size:
            raise BrokenDatabaseError("is empty")
        reader = maxminddb.open_database(path, MODE_FILE)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BrokenDatabaseError(f"cannot be read: {reason}") from error
    except _BROKEN as error:
        raise BrokenDatabaseError("is not a MaxMind database, or is cut short") from error
    try:
        info, layout = _described(kind, path, reader)
    except BrokenDatabaseError:
        reader.close()
        raise
    database = Database(info, layout, seen, reader)
    weakref.finalize(database, reader.close)  # nobody else knows when the last use is over
    return database


def _described(kind: str, path: str, reader: maxminddb.Reader) -> tuple[MapInfo, Layout]:
    """What the metadata says. Raises BrokenDatabaseError if that cannot be."""
    found: dict[str, object] = vars(reader.metadata())
    layout = Layout(
        _count(found["node_count"]), _count(found["record_size"]), _count(found["ip_version"])
    )
    name, built = found["database_type"], _count(found["build_epoch"])
    if (
        not isinstance(name, str)
        or layout.record_size not in (24, 28, 32)
        or not 0 < layout.node_count < 1 << layout.record_size
        or layout.ip_version not in (4, 6)
    ):
        raise BrokenDatabaseError("has corrupt metadata")
    if not any(word in name.lower() for word in _KINDS[kind]):
        raise BrokenDatabaseError(f'is a "{name}" database')
    return MapInfo(kind, path, name, built), layout


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text(part: object, key: str) -> str:
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) else ""


@lru_cache(maxsize=1 << 14)
def _region(continent: str, country: str, subdivisions: tuple[str, ...]) -> Region:
    """The codes that have the form of ISO 3166; a subdivision as "GB-ENG"."""
    if not _CODE.fullmatch(continent):
        continent = ""
    if not _CODE.fullmatch(country):
        return continent, "", ()
    continent = continent or continent_of(country)
    good = (code for code in subdivisions if _SUBDIVISION.fullmatch(code))
    return continent, country, tuple(f"{country}-{code}" for code in good)


def _place(latitude: object, longitude: object) -> tuple[float, float] | None:
    if not isinstance(latitude, float | int) or not isinstance(longitude, float | int):
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):  # and not a NaN
        return None
    return float(latitude), float(longitude)
