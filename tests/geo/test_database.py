"""Opening databases: what is one, what is not, and what happens to a broken one."""

from __future__ import annotations

import os
import random
from ipaddress import ip_address

import pytest
from gslb.core.client import NOWHERE, Location
from gslb.core.policy import Policy
from gslb.core.setting import GeoSettings
from gslb.errors import ConfigError
from gslb.geo.database import open_maps
from gslb.geo.survey import survey
from gslb.geo.treatment import compile_tables

from globe import Tree, city, configure, opened, write_database

US = city("US", (40.7, -74.0), "NA", ["NY"])
RECORDS = {
    f"20.{n}.0.0/16": city("US", (n / 4, -n / 2), "NA", ["NY", "X" * (n % 4)]) for n in range(120)
} | {f"2a00:{n:x}::/32": city("DE", (n / 3, n / 2), "EU") for n in range(60)}


def the_problem(settings):
    maps, problems = open_maps(settings)
    assert maps.databases == ()
    assert maps.infos == ()
    assert len(problems) == 1
    assert problems[0].severity == "error"
    return problems[0]


@pytest.mark.parametrize("key", ["city", "asn"])
def test_a_missing_file_is_a_problem_with_its_place(tmp_path, key):
    path = str(tmp_path / "absent.mmdb")
    problem = the_problem(GeoSettings(**{key: path}))
    assert problem.where.file == path
    assert problem.subject == f"geo.{key}"
    assert problem.what == "cannot be read: No such file or directory"


def test_what_is_no_database_is_a_problem(tmp_path):
    empty, zeros, text = (tmp_path / name for name in ("empty", "zeros", "text"))
    empty.touch()
    zeros.write_bytes(bytes(100_000))
    text.write_text("this is not a database\n" * 1000)
    loop, pipe = tmp_path / "loop", tmp_path / "pipe"
    loop.symlink_to(loop)
    os.mkfifo(pipe)
    said = {
        path.name: the_problem(GeoSettings(city=str(path))).what for path in (empty, zeros, text)
    }
    assert said["empty"] == "is empty"
    assert said["zeros"] == said["text"] == "is not a MaxMind database, or is cut short"
    assert "directory" in the_problem(GeoSettings(city=str(tmp_path))).what
    assert "device" in the_problem(GeoSettings(city=str(pipe))).what
    assert "Too many levels" in the_problem(GeoSettings(city=str(loop))).what


def test_a_huge_file_is_refused_unread(tmp_path):
    path = tmp_path / "huge.mmdb"
    with path.open("wb") as file:
        file.truncate(3 << 30)  # sparse
    assert the_problem(GeoSettings(city=str(path))).what == "is larger than 1 GiB"


def test_a_database_of_another_kind_is_a_problem(tmp_path):
    path = write_database(tmp_path / "asn.mmdb", {"20.0.0.0/8": {}}, "GeoLite2-ASN")
    assert the_problem(GeoSettings(city=path)).what == 'is a "GeoLite2-ASN" database'
    path = write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US}, "GeoLite2-City")
    assert the_problem(GeoSettings(asn=path)).what == 'is a "GeoLite2-City" database'


@pytest.mark.parametrize("kind", ["GeoLite2-City", "GeoIP2-Country", "DBIP-City-Lite"])
def test_the_type_is_in_the_metadata(tmp_path, kind):
    _, maps = opened(write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US}, kind))
    assert [info.type for info in maps.infos] == [kind]
    assert maps.infos[0].built > 1_700_000_000


def test_records_are_read_as_far_as_they_can_be_believed(tmp_path):
    records = {
        "20.0.0.0/16": US,
        "20.1.0.0/16": {"country": "US", "continent": {"code": 7}, "location": []},
        "20.2.0.0/16": city("us; rm", (91.0, 0.0), "NANA", ["CA"]),
        "20.3.0.0/16": city("US", (0.0, 0.0), "NA", ["CA", "california", "SF"]),
        "20.4.0.0/16": {"location": {"latitude": float("nan"), "longitude": 0.0}},
    }
    _, maps = opened(write_database(tmp_path / "city.mmdb", records))
    found = [maps.city.location(ip_address(f"20.{n}.0.1")) for n in range(5)]
    assert found[0] == Location("NA", "US", ("US-NY",), (40.7, -74.0))
    assert found[1] == found[2] == found[4] == NOWHERE
    assert found[3] == Location("NA", "US", ("US-CA", "US-SF"), (0.0, 0.0))


def test_an_ipv4_database_knows_nothing_of_ipv6(tmp_path):
    _, maps = opened(write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US}, version=4))
    assert maps.city.location(ip_address("20.1.1.1")).country == "US"
    assert maps.city.location(ip_address("2a00::1")) == NOWHERE


def test_a_database_found_broken_while_compiling_is_a_problem_and_the_other_goes_on(tmp_path):
    path = tmp_path / "city.mmdb"
    write_database(path, RECORDS)
    content = bytearray(path.read_bytes())
    content[0:8] = b"\xff" * 8  # the root points far outside
    path.write_bytes(content)
    asn = write_database(
        tmp_path / "asn.mmdb", {"20.0.0.0/9": {"autonomous_system_number": 64500}}, "Test-ASN"
    )
    settings, maps = opened(str(path), asn=asn)
    config = configure(Policy("web", Tree().nearest("fra", "iad")), geo=settings)
    with pytest.raises(ConfigError) as caught:
        compile_tables(config, maps, None)
    assert [problem.where.file for problem in caught.value.problems] == [str(path)]
    assert "corrupt" in caught.value.problems[0].what
    rest, problems = survey(maps, None)
    assert problems == caught.value.problems
    assert [info.kind for info in rest.infos] == ["asn"]
    assert compile_tables(config, rest, None)["web"].treatments != ()


def test_flipped_octets_are_a_problem_or_a_map_and_never_an_exception(tmp_path):
    """Everywhere in the file: tree, data, metadata. Loops and nonsense end quickly."""
    path = tmp_path / "city.mmdb"
    write_database(path, RECORDS)
    sound = path.read_bytes()
    rng = random.Random(7)
    node = Tree().nearest("fra", "iad")
    outcomes = set()
    for _ in range(400):
        content = bytearray(sound)
        for _ in range(rng.choice((1, 1, 4, 200))):
            content[rng.randrange(len(content))] = rng.choice(
                (0, 1, 0x7F, 0xFF, rng.randrange(256))
            )
        path.write_bytes(content[: rng.choice((None, None, None, rng.randrange(1, len(content))))])
        outcomes.add(outcome(str(path), node))
    assert outcomes == {"refused at once", "refused while compiling", "a map"}


def outcome(path, node):
    settings = GeoSettings(city=path)
    maps, problems = open_maps(settings)
    if problems:
        return "refused at once"
    maps.city.location(ip_address("20.1.2.3"))
    maps, problems = survey(maps, None)
    compile_tables(configure(Policy("web", node), geo=settings), maps, None)
    return "refused while compiling" if problems else "a map"
