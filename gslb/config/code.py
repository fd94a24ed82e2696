"""Codes of places: ISO 3166-1 alpha-2 countries, ISO 3166-2 subdivisions, continents.

Knows: which codes exist (`iso3166.txt`, written by scripts/write_iso3166.py). Refuses to
know: where the places are. Invariant: codes are upper case.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Final

CONTINENTS: Final = frozenset(("AF", "AN", "AS", "EU", "NA", "OC", "SA"))

# What people write for a country and ISO does not.
NICKNAMES: Final = {"UK": "GB", "EL": "GR"}


@cache
def _subdivisions_by_country() -> dict[str, frozenset[str]]:
    text = files("gslb.config").joinpath("iso3166.txt").read_text("ascii")
    lines = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {country: frozenset(codes) for country, *codes in lines}


def is_country(code: str) -> bool:
    """True for an ISO 3166-1 alpha-2 code in upper case, or XK (Kosovo)."""
    return code in _subdivisions_by_country()


def is_subdivision(code: str) -> bool:
    """True for an ISO 3166-2 code in upper case, as "US-CA"."""
    country, _, rest = code.partition("-")
    return rest in _subdivisions_by_country().get(country, frozenset())


def subdivisions_of(country: str) -> list[str]:
    """The ISO 3166-2 codes of a country, sorted."""
    return sorted(f"{country}-{rest}" for rest in _subdivisions_by_country().get(country, ()))
