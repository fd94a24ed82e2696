"""Whole worlds, compiled into tables and compared with the scalar rules at every edge."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network
from itertools import pairwise

from gslb.core.client import NOWHERE
from gslb.core.nearest import rank
from gslb.core.policy import Nearest, Policy, Routes, walk
from gslb.core.route import match
from gslb.geo.database import open_maps
from gslb.geo.locate import Locator
from gslb.geo.special import SPECIAL
from gslb.geo.treatment import compile_tables
from hypothesis import given, settings
from hypothesis import strategies as st

from globe import (
    PLACES,
    Tree,
    city,
    configure,
    groups,
    number,
    opened,
    override,
    treatment,
    write_database,
)

# Each world is asked at some hundred edges, so that a few tens of them meet what there is.
WORLDS = settings(max_examples=60)


def random_records(rng):
    """Networks no longer than max_scope, so that every address is its own record's."""
    records = {}
    for _ in range(12):
        first = rng.choice((0x14000000, 0x7F000000, 0xC0000000, 0)) | rng.getrandbits(27)
        net = ip_network((first, rng.randint(6, 24)), strict=False)
        records[str(net)] = a_record(rng)
    for _ in range(12):
        length = rng.randint(10, 56)
        first = (rng.choice((0x2A00, 0x2001)) << 112) | rng.getrandbits(104)
        records[str(ip_network((first >> (128 - length) << (128 - length), length)))] = a_record(
            rng
        )
    return records


def a_record(rng):
    at = rng.choice((None, (rng.uniform(-60, 70), rng.uniform(-180, 180))))
    country, continent = rng.choice(
        (("DE", "EU"), ("US", "NA"), ("GB", "EU"), ("", "AS"), ("", ""))
    )
    return city(country, at, continent, rng.choice(((), ("ENG",), ("CA", "SF"))))


def sampled(records, rng, exact=()):
    """The edges of every network, their neighbours outside, and a few others."""
    for text in [*records, *exact]:
        net = ip_network(text)
        beyond = 1 << 64 if net.version == 6 else 1
        first, last = int(net[0]), int(net[-1])
        for edge in (first - beyond, first, last, last + beyond):
            if 0 <= edge < 1 << net.max_prefixlen:
                yield str(type(net[0])(edge))
    for _ in range(10):
        yield str(ip_address(rng.getrandbits(32)))
        yield str(ip_address(0x2A00 << 112 | rng.getrandbits(112)))


def known(locator, address):
    """(location, networks) by the scalar rules; location None: special-purpose, uncovered."""
    packed = ip_address(address).packed
    networks, location = locator.networks(packed), locator.locate(packed)
    family, value = number(address)
    special = any(n.family == family and n.first <= value <= n.last for n in SPECIAL)
    covered = networks or locator.override(packed) or location != NOWHERE
    return (None if special and not covered else location), networks


def reference(config, policy, location, networks):
    """The treatment by the scalar rules."""
    meant = {}
    for node in walk(policy.node):
        if isinstance(node, Nearest):
            meant[node.id] = rank(node, location)
        elif isinstance(node, Routes):
            meant[node.id] = match(node, config.clients, location, networks)
    return meant


@WORLDS
@given(st.integers(0, 1 << 32))
def test_the_tables_say_what_the_scalar_rules_say(tmp_path_factory, seed):
    rng = random.Random(seed)
    records = random_records(rng)
    exact = [
        "20.1.2.0/25",
        "20.1.2.64/26",
        "127.0.0.8/29",
        "10.0.0.0/9",
        "192.168.0.0/17",
        "2a00:1::/60",
        "2001:db8::/48",
    ]
    config, maps = a_world(tmp_path_factory, records, rng)
    tables, locator = compile_tables(config, maps, None), Locator(config, maps)
    expected = {}  # of each place once: most addresses share theirs with others
    for address in sampled(records, rng, exact):
        location, networks = known(locator, address)
        for policy in config.policies.values():
            key = policy.name, location, networks
            if key not in expected:
                expected[key] = location and reference(config, policy, location, networks)
            assert treatment(tables[policy.name], address) == expected[key], address
    for policy in config.policies.values():
        table = tables[policy.name]
        assert table.treatments[table.unknown] == reference(config, policy, NOWHERE, ())


def a_world(tmp_path_factory, records, rng):
    tree, folder = Tree(), tmp_path_factory.mktemp("world")
    path = write_database(folder / "city.mmdb", records)
    asns = {"20.0.0.0/10": {"autonomous_system_number": 64500}}
    asns |= {"20.1.2.0/24": {"autonomous_system_number": 64501}}
    asns |= {"192.168.0.0/17": {"autonomous_system_number": 64502}}  # covers what is special
    settings, _ = opened(path, asn=write_database(folder / "asn.mmdb", asns, "Test-ASN"))
    maps, _ = open_maps(settings)
    names = rng.sample(sorted(PLACES), 7)
    policies = [
        Policy("near", tree.nearest(*names[:3])),
        Policy("many", tree.nearest(*names, bias={names[1]: 40, names[2]: -60})),
        Policy("close", tree.nearest(*names[:6], km=6000)),
        Policy(
            "api",
            tree.routes(
                ("office", "fra"),
                ("isp", "nrt"),
                ("dach", tree.nearest("fra", "lhr")),
                ("world", "iad"),
                (None, tree.nearest(*names[:4])),
            ),
        ),
    ]
    clients = groups(
        office="20.1.2.0/25 2a00:1::/60 127.0.0.8/29",
        isp="AS64501 20.1.2.64/26",
        dach="DE US-CA GB-ENG",
        world="continent:EU continent:NA DE",
        unused="10.0.0.0/9 20.64.0.0/11",
    )
    overrides = [
        override("20.1.2.32/27", country="JP"),
        override("127.0.0.0/24", country="US", subdivisions=("US-CA",), at=(37.0, -122.0)),
        override("2001:db8::/48", country="DE"),
        override("20.2.0.0/16"),
    ]
    return configure(*policies, geo=settings, clients=clients, overrides=overrides), maps


@WORLDS
@given(st.integers(0, 1 << 32))
def test_a_leaf_is_uniform_and_maximal_and_no_two_overlap(tmp_path_factory, seed):
    rng = random.Random(seed)
    records = random_records(rng)
    config, maps = a_world(tmp_path_factory, records, rng)
    for table in compile_tables(config, maps, None).values():
        assert len({repr(meant) for meant in table.treatments}) == len(table.treatments)
        for ranges, family in ((table.ipv4, 4), (table.ipv6, 6)):
            assert ranges.starts[0] == 0
            assert all(a != b for a, b in pairwise(ranges.values))
            leaves = set()
            for address in sampled(records, rng):
                asked, value = number(address)
                if asked != family:
                    continue
                found, length = table.leaf(family, value)
                size = 1 << (ranges.bits - length)
                first = value // size * size
                leaves.add((first, first + size - 1))
                assert values_in(ranges, first, first + size - 1) == {found}
                if length > max(1, table.least[family == 6]):
                    wider = value // (2 * size) * 2 * size
                    assert len(values_in(ranges, wider, wider + 2 * size - 1)) > 1
            assert all(a[1] < b[0] for a, b in pairwise(sorted(leaves)))


def values_in(ranges, first, last):
    return {ranges.value(first)} | {
        ranges.values[i] for i, start in enumerate(ranges.starts) if first < start <= last
    }


@WORLDS
@given(st.integers(0, 1 << 32))
def test_no_leaf_is_longer_than_max_scope_where_no_exact_network_is(tmp_path_factory, seed):
    rng = random.Random(seed)
    records = {
        str(ip_network((0x14000000 | rng.getrandbits(12), 32))): a_record(rng) for _ in range(80)
    }
    path = write_database(tmp_path_factory.mktemp("world") / "city.mmdb", records)
    settings, maps = opened(path)
    policy = Policy("web", Tree().nearest("fra", "iad", "nrt", "gru"))
    table = compile_tables(configure(policy, geo=settings), maps, None)["web"]
    assert all(table.leaf(*number(address))[1] <= 24 for address in sampled(records, rng))


def test_without_memory_the_master_table_says_the_same(tree, tmp_path):
    records, rng = random_records(random.Random(5)), random.Random(6)
    path = write_database(tmp_path / "city.mmdb", records)
    policies = [
        Policy("near", tree.nearest("fra", "iad", "nrt")),
        Policy("far", tree.nearest("gru", "syd", "jnb", "lhr", "nrt")),
        Policy("api", tree.routes(("dach", "fra"), (None, tree.nearest("iad", "nrt")))),
    ]
    tables = []
    for memory in (1 << 28, 0):
        settings, maps = opened(path, table_memory=memory)
        config = configure(*policies, geo=settings, clients=groups(dach="DE 20.1.0.0/20"))
        tables.append(compile_tables(config, maps, None))
    own, shared = tables
    for name, table in own.items():
        assert table.mapping is None
        assert shared[name].mapping is not None
        assert shared[name].ipv4 is shared["near"].ipv4
        assert table.treatments == shared[name].treatments
        assert table.shares == shared[name].shares
        for address in sampled(records, rng):
            assert table.leaf(*number(address)) == shared[name].leaf(*number(address))
