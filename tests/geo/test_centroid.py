"""Countries and continents as places."""

from __future__ import annotations

from gslb.core.client import NOWHERE, Location
from gslb.geo.centroid import CONTINENTS, COUNTRIES, centroid, continent_of, placed, replacement

from globe import override


def test_every_country_has_a_known_continent_and_a_place_on_earth():
    assert len(COUNTRIES) == 250  # ISO 3166-1 has 249; and Kosovo, which databases call XK
    for country, (continent, (latitude, longitude)) in COUNTRIES.items():
        assert len(country) == 2
        assert continent in CONTINENTS
        assert -90 <= latitude <= 90
        assert -180 <= longitude <= 180


def test_the_country_comes_before_the_continent():
    assert centroid("DE", "AS") == (51.0, 9.0)
    assert centroid("", "EU") == centroid("ZZ", "EU") == CONTINENTS["EU"]
    assert centroid("", "") is None
    assert continent_of("CL") == "SA"
    assert continent_of("ZZ") == ""


def test_known_coordinates_stay():
    there = Location("EU", "DE", (), (48.1, 11.6))
    assert placed(there) is there
    assert placed(NOWHERE) == NOWHERE


def test_an_override_without_a_country_says_no_more_than_it_says():
    found = replacement(override("20.0.0.0/8", at=(1.0, 2.0)), 64500)
    assert found == Location(at=(1.0, 2.0), asn=64500)
    assert replacement(override("20.0.0.0/8"), 0) == NOWHERE
