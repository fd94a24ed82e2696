"""The cached atlas: the same as the one drawn, or as if it were not there."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from gslb.geo import cache
from gslb.geo.survey import atlas_of

from globe import city, opened, write_database

RECORDS = {f"20.{n}.0.0/16": city("US", (n / 4, -n / 2), "NA", ["NY"]) for n in range(50)}
RECORDS |= {"2a00::/32": city("DE"), "2a01::/32": {"autonomous_system_number": 64500}}


@pytest.fixture
def database(tmp_path):
    _, maps = opened(write_database(tmp_path / "city.mmdb", RECORDS))
    return maps.city


def same(a, b):
    return (
        a.columns.regions == b.columns.regions
        and np.array_equal(a.columns.at, b.columns.at, equal_nan=True)
        and np.array_equal(a.columns.region, b.columns.region)
        and np.array_equal(a.columns.asn, b.columns.asn)
        and all(
            np.array_equal(x.starts, y.starts) and np.array_equal(x.values, y.values)
            for x, y in ((a.ipv4, b.ipv4), (a.ipv6, b.ipv6))
        )
    )


def test_an_atlas_comes_back_as_it_was(database):
    atlas = atlas_of(database, None, large=1)
    assert Path(f"{database.info.path}.atlas").exists()
    stored = cache.load(database.info, database.fingerprint.size, None)
    assert same(stored, atlas)


def test_a_small_database_is_not_worth_a_cache(database, tmp_path):
    atlas_of(database, str(tmp_path / "state"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["city.mmdb"]


def test_where_the_database_cannot_have_it_beside_it_goes_to_the_state(database, tmp_path):
    Path(f"{database.info.path}.atlas").mkdir()  # nothing can be renamed onto a folder
    state = tmp_path / "state"
    atlas = atlas_of(database, str(state), large=1)
    assert len(list(state.iterdir())) == 1
    assert same(cache.load(database.info, database.fingerprint.size, str(state)), atlas)
    assert not list(tmp_path.glob("*.draft"))


def test_the_cache_of_another_database_is_ignored(database):
    atlas_of(database, None, large=1)
    info, size = database.info, database.fingerprint.size
    assert cache.load(info, size, None) is not None
    assert cache.load(info, size + 1, None) is None


def test_a_corrupt_cache_is_ignored_and_written_again(database):
    atlas = atlas_of(database, None, large=1)
    path = Path(f"{database.info.path}.atlas")
    sound, rng = path.read_bytes(), random.Random(3)
    for _ in range(150):
        content = bytearray(sound)
        for _ in range(rng.choice((1, 3, 50))):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content[: rng.choice((None, rng.randrange(len(content))))])
        found = cache.load(database.info, database.fingerprint.size, None)
        assert found is None or same(found, atlas)
    path.write_bytes(b"rubbish")
    assert same(atlas_of(database, None, large=1), atlas)
    assert same(cache.load(database.info, database.fingerprint.size, None), atlas)
