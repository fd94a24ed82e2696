"""The full-size City database of July 2018 (GeoLite2 data created by MaxMind, CC BY-SA 4.0)."""

from __future__ import annotations

import random
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path

import pytest
from gslb.core.nearest import distance_m, rank
from gslb.core.policy import Policy
from gslb.core.route import match
from gslb.core.setting import GeoSettings
from gslb.geo.centroid import COUNTRIES
from gslb.geo.database import open_maps
from gslb.geo.locate import Locator
from gslb.geo.survey import survey
from gslb.geo.treatment import compile_tables

from globe import Tree, configure, groups, opened, scope, treatment

pytestmark = pytest.mark.slow


def database():
    (folder,) = find_spec("_maxminddb_geolite2").submodule_search_locations
    return Path(folder) / "GeoLite2-City.mmdb"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """(settings, surveyed maps); the cache stays beside the link, not in the package."""
    path = tmp_path_factory.mktemp("full") / "City.mmdb"
    path.symlink_to(database())
    settings, maps = opened(str(path))
    maps, problems = survey(maps, None)
    assert problems == ()
    assert path.with_name("City.mmdb.atlas").exists()
    return settings, maps


def some_addresses(count):
    rng = random.Random(11)
    for _ in range(count):
        yield ip_address(rng.getrandbits(32))
        yield ip_address(rng.choice((0x2001, 0x2400, 0x2600, 0x2A00)) << 112 | rng.getrandbits(112))
        yield ip_address(0x2A00_0000 << 96 | rng.getrandbits(24) << 88)


def test_tables_of_the_whole_world_say_what_the_scalar_rules_say(drawn):
    settings, maps = drawn
    tree = Tree()
    near = tree.nearest("fra", "iad", "nrt", "gru", "syd", "jnb", "lhr")
    routes = tree.routes(("dach", "fra"), ("west", "iad"), ("europe", "lhr"), (None, near))
    clients = groups(dach="DE AT CH", west="US-CA US-OR", europe="continent:EU TR")
    config = configure(Policy("near", near), Policy("api", routes), geo=settings, clients=clients)
    tables, locator = compile_tables(config, maps, None), Locator(config, maps)
    compared = 0
    for address in some_addresses(1500):
        network = maps.city.raw(address)[1]
        if int(network.partition("/")[2]) > (24 if address.version == 4 else 56):
            continue  # part of a block that may be of several minds
        expected = treatment(tables["near"], str(address))
        if expected is None:
            continue
        location = locator.locate(address.packed)
        order = rank(near, location)
        assert expected == {near.id: order}, address
        matched = match(routes, clients, location, ())
        assert treatment(tables["api"], str(address)) == {near.id: order, routes.id: matched}
        assert scope(tables["near"], str(address)) <= (24 if address.version == 4 else 56)
        compared += 1
    assert compared > 2000


def test_ranges_that_alias_ipv4_are_special_purpose_and_nothing_else(drawn):
    settings, maps = drawn
    config = configure(Policy("near", Tree().nearest("fra", "iad")), geo=settings)
    table = compile_tables(config, maps, None)["near"]
    # 81.2.69.160 as 6to4, Teredo and IPv4-mapped: the database has a record for each.
    for text in ("2002:5102:45a0::1", "2001:0:5102:45a0::1", "::ffff:81.2.69.160"):
        assert maps.city.location(ip_address(text)).country == "GB"
        assert treatment(table, text) is None
    assert treatment(table, "81.2.69.160") is not None


def test_the_cache_says_the_same_as_the_database(drawn):
    settings, maps = drawn
    again, problems = survey(open_maps(settings)[0], None)
    assert problems == ()
    one, other = maps.atlases["city"], again.atlases["city"]
    assert one.columns.regions == other.columns.regions
    assert (one.ipv4.starts == other.ipv4.starts).all()
    assert (one.ipv6.values == other.ipv6.values).all()


def test_the_centroids_lie_where_the_database_puts_the_country(drawn):
    """Within 500 km of one of its locations: most countries are exact."""
    _, maps = drawn
    columns = maps.atlases["city"].columns
    found = {}
    for at, region in zip(columns.at.tolist(), columns.region.tolist(), strict=True):
        continent, country, _ = columns.regions[region]
        if country and at[0] == at[0]:
            found.setdefault(country, []).append((continent, tuple(at)))
    assert set(found) <= set(COUNTRIES)
    for country, places in found.items():
        continent, middle = COUNTRIES[country]
        assert min(distance_m(middle, at) for _, at in places) < 500_000, country
        assert continent in {named for named, _ in places}, country


def test_a_full_size_database_with_flipped_octets_is_refused_or_used(tmp_path):
    content = bytearray(database().read_bytes())
    rng = random.Random(1)
    for _ in range(20_000):
        content[rng.randrange(26_000_000, len(content) - 200_000)] = rng.randrange(256)
    path = tmp_path / "City.mmdb"
    path.write_bytes(content)
    maps, problems = open_maps(GeoSettings(city=str(path)))
    assert problems == ()
    maps, problems = survey(maps, None)
    assert maps.databases == ()
    assert "corrupt" in problems[0].what
    assert not path.with_name("City.mmdb.atlas").exists()
