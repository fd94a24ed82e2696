"""ISO 3166 codes as shipped."""

from __future__ import annotations

import pytest
from gslb.config.code import CONTINENTS, NICKNAMES, is_country, is_subdivision, subdivisions_of


@pytest.mark.parametrize("code", ["DE", "US", "NO", "XK", "GB", "AQ", "TW"])
def test_countries_are_known(code):
    assert is_country(code)


@pytest.mark.parametrize("code", ["", "UK", "EU", "XX", "de", "DEU", "D", "#"])
def test_what_is_no_country_is_not(code):
    assert not is_country(code)


@pytest.mark.parametrize("code", ["US-CA", "GB-ENG", "DE-BE", "FR-IDF", "JP-13", "AD-02"])
def test_subdivisions_are_known(code):
    assert is_subdivision(code)


@pytest.mark.parametrize("code", ["US", "US-", "US-ca", "US-XX", "XX-CA", "-", "", "US-CA-1"])
def test_what_is_no_subdivision_is_not(code):
    assert not is_subdivision(code)


def test_the_lists_are_whole():
    assert len(subdivisions_of("US")) == 57  # states, the district, outlying areas
    assert len(subdivisions_of("DE")) == 16
    assert subdivisions_of("XK") == []
    assert len(CONTINENTS) == 7


def test_nicknames_lead_to_countries():
    assert all(is_country(code) and not is_country(name) for name, code in NICKNAMES.items())
