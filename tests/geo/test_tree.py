"""The search tree flattened, compared with maxminddb's own walk."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network

import numpy as np
import pytest
from gslb.core.client import Location
from gslb.geo.database import BrokenDatabaseError, Layout
from gslb.geo.drawing import draw
from gslb.geo.tree import EMPTY, Tree, flatten, read_tree

from globe import city, opened, write_database


def location(atlas, text):
    """What an atlas says of an address."""
    address = ip_address(text)
    span, value = (
        (atlas.ipv4, int(address)) if address.version == 4 else (atlas.ipv6, int(address) >> 64)
    )
    number = int(span.at(np.array([value], np.uint64))[0])
    columns = atlas.columns
    at = columns.at[number].tolist()
    continent, country, subdivisions = columns.regions[columns.region[number]]
    place = None if np.isnan(at[0]) else (at[0], at[1])
    return Location(continent, country, subdivisions, place, int(columns.asn[number]))


@pytest.mark.parametrize("version", [4, 6])
def test_an_atlas_says_what_the_database_says(tmp_path, version):
    rng = random.Random(version)
    records = {}
    for n in range(300):
        net = ip_network((0x14000000 | rng.getrandbits(26), rng.randint(8, 32)), strict=False)
        records[str(net)] = city("US", (n / 4, -n / 2), "NA", [str(n % 50)])
        if version == 6:
            first = 0x2A << 120 | rng.getrandbits(118)
            net = ip_network((first, rng.randint(10, 64)), strict=False)
            records[str(net)] = city("DE", (n / 4, n / 2), "EU")
    _, maps = opened(write_database(tmp_path / "city.mmdb", records, version=version))
    atlas = draw(maps.city)
    for text in records:
        for address in (ip_network(text)[0], ip_network(text)[-1]):
            assert location(atlas, str(address)) == maps.city.location(address)
    for _ in range(300):
        address = ip_address(0x14000000 | rng.getrandbits(26))
        assert location(atlas, str(address)) == maps.city.location(address)


@pytest.mark.parametrize("size", [24, 28, 32])
def test_records_of_every_size_are_read(size):
    # Two nodes; record 0x345678 is far enough into a data section of 4 MiB to need 24 bits.
    nodes = [(1, 0x345678), (2, 18)]
    raw = b""
    for left, right in nodes:
        if size == 28:
            raw += left.to_bytes(3, "big") + b"\0" + right.to_bytes(3, "big")
        else:
            raw += left.to_bytes(size // 8, "big") + right.to_bytes(size // 8, "big")
    tree = read_tree(raw + bytes(4 << 20), Layout(2, size, 4))
    assert tree.records.tolist() == [list(node) for node in nodes]


def test_the_middle_octet_of_28_bits_is_split():
    raw = bytes.fromhex("00000112000003")
    with pytest.raises(BrokenDatabaseError, match="outside"):
        read_tree(raw + bytes(1000), Layout(1, 28, 4))
    large = np.zeros((34 << 20) + 7, np.uint8)  # the right record is 0x2000003, 32 MiB away
    large[:7] = np.frombuffer(raw, np.uint8)
    tree = read_tree(large.tobytes(), Layout(1, 28, 4))
    assert tree.records.tolist() == [[0x1000001, 0x2000003]]


def chain(bits, ip_version, last):
    """A tree in which only the way of zeros goes down; `last` are its lowest records."""
    records = np.full((bits, 2), bits, np.uint32)
    records[:-1, 0] = np.arange(1, bits)
    records[-1] = last
    return Tree(Layout(bits, 24, ip_version), records)


def test_ipv4_lies_at_96_zeros_and_its_aliases_are_empty():
    tree = chain(97, 6, (97 + 20, 97 + 40))  # node 96 is ::/96; its halves have records
    tree.records[2, 1] = 96  # 2000::/3 is an alias of the IPv4 tree
    tree.records[3, 1] = 97 + 60  # 1000::/4 is not
    flat = flatten(tree)
    assert flat.ipv4.values.tolist() == [20, 40]
    assert flat.ipv4.starts.tolist() == [0, 1 << 31]
    assert flat.ipv6.starts.tolist() == [0, 1 << 60, 1 << 61]
    assert flat.ipv6.values.tolist() == [EMPTY, 60, EMPTY]


def test_a_tree_that_ends_above_ipv4_is_one_range():
    flat = flatten(chain(8, 6, (8 + 30, 8)))
    assert flat.ipv4.values.tolist() == [30]
    assert flat.ipv6.starts.tolist() == [0, 1 << 56]
    assert flat.ipv6.values.tolist() == [30, EMPTY]


def test_below_64_the_greater_part_counts(tmp_path):
    fr, de = city("FR", (48.9, 2.3)), city("DE", (52.5, 13.4))
    records = {
        "2a00::/64": fr,
        "2a00::/66": de,  # a quarter, and it begins the /64
        "2a00:0:0:1::/65": de,
        "2a00:0:0:1:8000::/65": fr,  # equal parts
        "2a00:0:0:2:c000::/66": fr,  # the rest is empty
    }
    _, maps = opened(write_database(tmp_path / "city.mmdb", records))
    atlas = draw(maps.city)
    assert location(atlas, "2a00::1").country == "FR"
    assert location(atlas, "2a00:0:0:1::1").country == "DE"
    assert location(atlas, "2a00:0:0:2:c000::1").country == ""


@pytest.mark.parametrize("version", [4, 6])
def test_a_tree_that_loops_is_refused_and_soon(version):
    records = np.zeros((8, 2), np.uint32)
    with pytest.raises(BrokenDatabaseError, match=r"loops|deeper"):
        flatten(Tree(Layout(8, 24, version), records))


def test_a_tree_deeper_than_an_address_is_refused():
    with pytest.raises(BrokenDatabaseError, match="deeper"):
        flatten(chain(40, 4, (40, 40)))
    tree = chain(200, 6, (200, 200))
    tree.records[0, 1] = 1
    with pytest.raises(BrokenDatabaseError, match="deeper"):
        flatten(tree)
