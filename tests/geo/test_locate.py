"""What is known of one address, for people."""

from __future__ import annotations

import json
from ipaddress import ip_address

import pytest
from gslb.core.client import NOWHERE, Location
from gslb.geo.database import Maps, open_maps
from gslb.geo.locate import Locator

from globe import city, configure, groups, opened, override, write_database

LONDON = city("GB", (51.5, -0.1), "EU", ["ENG", "WSM"])
LONDON |= {"city": {"names": {"en": "London"}}}
LONDON["country"] = {"iso_code": "GB", "names": {"en": "United Kingdom"}}


@pytest.fixture
def locator(tmp_path):
    path = write_database(tmp_path / "c.mmdb", {"20.0.0.0/8": LONDON, "21.0.0.0/8": city("JP")})
    owner = {"autonomous_system_number": 64500, "autonomous_system_organization": "Example"}
    asn = write_database(tmp_path / "a.mmdb", {"20.0.0.0/12": owner}, "Test-ASN")
    settings, _ = opened(path, asn=asn)
    maps, _ = open_maps(settings)
    config = configure(
        geo=settings,
        clients=groups(office="20.1.0.0/16 20.1.2.0/24", isp="AS64500", japan="JP"),
        overrides=[
            override("20.1.0.0/20", country="DE"),
            override("20.1.2.0/24", country="US", subdivisions=("US-CA",), at=(37.0, -122.0)),
            override("2a00:1::/48", country="FR"),
        ],
    )
    return Locator(config, maps)


def locate(locator, text):
    return locator.locate(ip_address(text).packed)


def test_the_databases_are_put_together(locator):
    assert locate(locator, "20.2.0.1") == Location(
        "EU", "GB", ("GB-ENG", "GB-WSM"), (51.5, -0.1), 64500
    )


def test_coordinates_fall_back_to_the_middle_of_the_country(locator):
    assert locate(locator, "21.0.0.1") == Location("AS", "JP", (), (36.0, 138.0), 0)


def test_the_narrowest_override_replaces_all_but_the_asn(locator):
    assert locate(locator, "20.1.2.3") == Location("NA", "US", ("US-CA",), (37.0, -122.0), 64500)
    assert locate(locator, "20.1.3.3") == Location("EU", "DE", (), (51.0, 9.0), 64500)
    assert locate(locator, "2a00:1::5").country == "FR"


def test_nothing_is_known_of_an_address_in_no_record(locator):
    assert locate(locator, "99.0.0.1") == NOWHERE
    assert Locator(configure(), Maps()).locate(bytes(4)) == NOWHERE


def test_an_address_can_be_described_for_people_and_machines(locator):
    said = locator.describe("20.1.2.3")
    assert json.loads(json.dumps(said)) == said
    assert said["clients"] == ["office", "isp"]
    assert said["networks"] == ["20.1.0.0/16", "20.1.2.0/24"]
    assert said["override"] == "20.1.2.0/24"
    assert said["country"] == "US"
    assert said["special"] is None
    assert said["city_database"]["network"] == "20.0.0.0/8"
    assert said["city_database"]["names"] == {
        "country": "United Kingdom",
        "subdivisions": [],
        "city": "London",
    }
    assert said["asn_database"]["organization"] == "Example"
    assert locator.describe("192.168.1.1")["special"] == "192.168.0.0/16"
    assert locator.describe("2001:db8::1")["special"] == "2001:db8::/32"
    with pytest.raises(ValueError, match="does not appear"):
        locator.describe("nonsense")


def test_a_database_cut_short_in_place_says_nothing_and_kills_nobody(locator, tmp_path):
    (tmp_path / "c.mmdb").write_bytes(b"")
    assert locate(locator, "20.2.0.1").asn == 64500
    assert locate(locator, "20.2.0.1").country == ""
    assert "problem" in locator.describe("20.2.0.1")["city_database"]
