"""Policies and maps compiled into tables, compared with the scalar rules."""

from __future__ import annotations

import random
from ipaddress import ip_address, ip_network
from itertools import pairwise

import pytest
from gslb.core.client import NOWHERE
from gslb.core.nearest import rank
from gslb.core.policy import Nearest, Policy, Routes, Sticky, walk
from gslb.core.route import match
from gslb.geo.database import Maps, open_maps
from gslb.geo.locate import Locator
from gslb.geo.special import SPECIAL
from gslb.geo.treatment import compile_tables
from hypothesis import given
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
    scope,
    treatment,
    write_database,
)

GB = city("GB", (51.5, -0.1), "EU", ["ENG"])
DE = city("DE", (52.5, 13.4), "EU")
US = city("US", (40.7, -74.0), "NA", ["NY"])
JP = city("JP", (35.7, 139.7), "AS")


def compile_one(policy, **world):
    maps = world.pop("maps", Maps())
    return compile_tables(configure(policy, **world), maps, None)[policy.name]


# --- what needs no map ---------------------------------------------------------------------


def test_a_policy_that_does_not_look_at_the_client_answers_scope_0(tree):
    table = compile_one(Policy("web", tree.pool("fra").node))
    assert table.leaf(4, 0x01020304) == (0, 0)
    assert table.treatments == ({},)


def test_a_nearest_without_a_map_has_one_treatment_in_configured_order(tree):
    node = tree.nearest("nrt", "fra")
    table = compile_one(Policy("web", node))
    assert table.treatments == ({node.id: (0, 1)},)
    assert table.leaf(4, 0x7F000001) == (0, 0)
    assert table.leaf(6, 0) == (0, 0)


def test_routes_on_networks_work_without_a_map(tree):
    node = tree.routes(("office", "fra"), ("lab", "iad"), (None, "nrt"))
    clients = groups(office="20.1.2.0/23 2a00:1::/48", lab="20.1.2.128/25")
    table = compile_one(Policy("api", node), clients=clients)
    assert treatment(table, "20.1.3.1") == {node.id: (0, 2)}
    assert treatment(table, "20.1.2.200") == {node.id: (1, 0, 2)}
    assert treatment(table, "2a00:1::1") == {node.id: (0, 2)}
    assert treatment(table, "20.1.4.1") == {node.id: (2,)}
    assert scope(table, "20.1.3.1") == 24
    assert scope(table, "20.1.2.1") == 25  # exact: not held to max_scope
    assert scope(table, "2a00:1::1") == 48


@pytest.mark.timeout(30)
def test_a_group_of_very_many_networks_is_not_walked_for_each_of_them(tree):
    """Walking it was tried: 60 000 networks took longer than ten minutes instead of a second."""
    node = tree.routes(("isp", "fra"), (None, "nrt"))
    many = " ".join(f"{20 + n // 4096}.{n // 16 % 256}.{n % 16 * 16}.0/24" for n in range(30_000))
    table = compile_one(Policy("api", node), clients=groups(isp=many))
    assert treatment(table, "20.0.16.1") == {node.id: (0, 1)}
    assert treatment(table, "20.0.17.1") == {node.id: (1,)}


def test_an_uncovered_special_range_is_marked_and_never_merges(tree):
    node = tree.routes(("office", "fra"), (None, "nrt"))
    table = compile_one(Policy("api", node), clients=groups(office="10.1.0.0/16 20.0.0.0/8"))
    assert treatment(table, "10.1.2.3") == {node.id: (0, 1)}  # covered by a client group
    assert treatment(table, "10.2.0.1") is None
    assert treatment(table, "192.168.1.1") is None
    assert treatment(table, "2001:db8::1") is None
    assert treatment(table, "::1") is None
    assert scope(table, "11.0.0.1") == 8
    assert scope(table, "192.167.0.1") == 13


def test_one_family_with_several_treatments_makes_the_other_answer_at_least_1(tree, tmp_path):
    node = tree.routes(("v4", "fra"), (None, "nrt"))
    # Every special range of IPv6 is covered, so nothing tells IPv6 addresses apart.
    path = write_database(tmp_path / "city.mmdb", {"8000::/1": US, "::/1": US})
    settings, maps = opened(path)
    clients = groups(v4="20.0.0.0/8")
    table = compile_one(Policy("api", node), clients=clients, geo=settings, maps=maps)
    assert len({table.ipv6.value(n << 48) for n in range(1, 1 << 16, 97)}) == 1
    assert all(table.leaf(6, n << 48)[1] >= 1 for n in range(0, 1 << 16, 997))


def test_sticky_cuts_the_leaf_to_at_least_24_and_56(tree):
    node = Sticky(9, (tree.pool("fra"), tree.pool("iad")), (1, 1), "web")
    table = compile_one(Policy("web", node))
    assert table.treatments == ({},)
    assert table.leaf(4, 0x14000001) == (0, 24)
    assert table.leaf(6, 0x2A00 << 48) == (0, 56)
    assert treatment(table, "10.0.0.1") is None


# --- with a map ----------------------------------------------------------------------------


def test_the_nearest_data_center_comes_first(tree, tmp_path):
    node = tree.nearest("fra", "iad", "nrt")
    path = write_database(
        tmp_path / "city.mmdb",
        {"20.0.0.0/8": US, "21.0.0.0/8": DE, "133.0.0.0/8": JP, "2a00::/16": DE},
    )
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    assert treatment(table, "20.1.1.1") == {node.id: (1, 0, 2)}
    assert treatment(table, "21.1.1.1") == {node.id: (0, 1, 2)}
    assert treatment(table, "133.1.1.1") == {node.id: (2, 0, 1)}
    assert treatment(table, "2a00::1") == {node.id: (0, 1, 2)}
    assert table.treatments[table.unknown] == {node.id: (0, 1, 2)}


def test_neighbours_with_the_same_treatment_merge_whatever_their_records(tree, tmp_path):
    records = {
        "20.0.0.0/10": US,
        "20.64.0.0/10": city("CA", (45.5, -73.6), "NA"),
        "20.128.0.0/9": US,
    }
    settings, maps = opened(write_database(tmp_path / "city.mmdb", records))
    table = compile_one(Policy("web", tree.nearest("fra", "iad")), geo=settings, maps=maps)
    assert scope(table, "20.70.0.1") == 8


def test_treatments_that_differ_only_in_unknown_clients_are_one(tree, tmp_path):
    """Frankfurt is first for Europe and for the unknown: one treatment, so scope 0."""
    settings, maps = opened(write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": DE}))
    table = compile_one(Policy("web", tree.nearest("fra", "iad")), geo=settings, maps=maps)
    assert table.leaf(4, 0x14000001) == (0, 0)


def test_a_client_without_coordinates_stands_in_the_middle_of_its_country(tree, tmp_path):
    node = tree.nearest("fra", "iad", "nrt")
    path = write_database(
        tmp_path / "city.mmdb",
        {"20.0.0.0/8": city("JP"), "21.0.0.0/8": city("", None, "NA"), "22.0.0.0/8": city("ZZ")},
    )
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    assert treatment(table, "20.0.0.1") == {node.id: (2, 0, 1)}
    assert treatment(table, "21.0.0.1") == {node.id: (1, 0, 2)}
    assert treatment(table, "22.0.0.1") == {node.id: (0, 1, 2)}


def test_an_override_replaces_country_subdivision_and_coordinates_together(tree, tmp_path):
    near = tree.nearest("fra", "iad")
    node = tree.routes(("ny", "iad"), ("europe", "fra"), ("isp", "nrt"), (None, near))
    path = write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US})
    asn = write_database(
        tmp_path / "asn.mmdb", {"20.0.0.0/9": {"autonomous_system_number": 64500}}, "Test-ASN"
    )
    settings, _ = opened(path, asn=asn)
    maps, problems = open_maps(settings)
    assert problems == ()
    world = {
        "clients": groups(ny="US-NY", europe="continent:EU", isp="AS64500"),
        "overrides": [override("20.1.0.0/28", country="DE")],
        "geo": settings,
        "maps": maps,
    }
    table = compile_one(Policy("api", node), **world)
    assert treatment(table, "20.1.0.15") == {node.id: (2, 1, 3), near.id: (0, 1)}
    assert scope(table, "20.1.0.15") == 28
    assert treatment(table, "20.1.0.16") == {node.id: (2, 0, 3), near.id: (1, 0)}
    assert treatment(table, "20.128.0.1") == {node.id: (0, 3), near.id: (1, 0)}


def test_a_record_covers_a_special_range_but_an_empty_one_does_not(tree, tmp_path):
    node = tree.nearest("fra", "iad")
    path = write_database(tmp_path / "city.mmdb", {"127.1.0.0/16": US, "127.2.0.0/16": {}})
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    assert treatment(table, "127.1.0.1") == {node.id: (1, 0)}
    assert treatment(table, "127.2.0.1") is None
    assert treatment(table, "127.3.0.1") is None


# --- max_scope -----------------------------------------------------------------------------


def test_the_greater_part_of_a_24_decides_for_all_of_it(tree, tmp_path):
    node = tree.nearest("fra", "iad")
    path = write_database(
        tmp_path / "city.mmdb",
        {"20.0.0.0/24": US, "20.0.0.0/26": DE, "20.0.1.0/24": DE, "20.0.1.64/26": US}
        | {"20.0.1.128/25": US, "2a00::/56": DE, "2a00:0:0:80::/57": US, "2a00:0:0:40::/58": US},
    )
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    for host in (0, 63, 64, 255):
        assert treatment(table, f"20.0.0.{host}") == {node.id: (1, 0)}
        assert treatment(table, f"20.0.1.{host}") == {node.id: (1, 0)}
    assert treatment(table, "2a00::1") == {node.id: (1, 0)}
    assert scope(table, "2a00::1") == 56


def test_of_equal_parts_the_one_that_begins_lowest_decides(tree, tmp_path):
    node = tree.nearest("fra", "iad")
    path = write_database(
        tmp_path / "city.mmdb",
        {"20.0.0.0/25": US, "20.0.0.128/25": DE, "20.0.1.0/25": DE, "20.0.1.128/25": US},
    )
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    assert treatment(table, "20.0.0.200") == {node.id: (1, 0)}
    assert treatment(table, "20.0.1.200") == {node.id: (0, 1)}


def test_the_greater_part_is_one_of_treatments_not_of_records(tree, tmp_path):
    """American half, and a German and a British quarter more than a half together."""
    node = tree.nearest("iad", "fra")
    path = write_database(
        tmp_path / "city.mmdb",
        {"20.0.0.0/25": US, "20.0.0.0/28": DE, "20.0.0.128/26": DE, "20.0.0.192/26": GB},
    )
    settings, maps = opened(path)
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    assert treatment(table, "20.0.0.100") == {node.id: (1, 0)}


def test_an_exact_network_in_a_mixed_block_changes_nothing_for_policies_that_ignore_it(
    tree, tmp_path
):
    path = write_database(tmp_path / "city.mmdb", {"20.0.0.0/24": US, "20.0.0.0/26": DE})
    settings, maps = opened(path)
    near = Policy("web", tree.nearest("fra", "iad"))
    routed = Policy("api", tree.routes(("office", "nrt"), (None, tree.nearest("fra", "iad"))))
    config = configure(near, routed, geo=settings, clients=groups(office="20.0.0.16/28"))
    tables = compile_tables(config, maps, None)
    assert scope(tables["web"], "20.0.0.17") <= 24
    assert treatment(tables["web"], "20.0.0.17") == {near.node.id: (1, 0)}
    inner = routed.node.routes[1].target.node.id
    assert treatment(tables["api"], "20.0.0.17") == {routed.node.id: (0, 1), inner: (1, 0)}
    assert treatment(tables["api"], "20.0.0.40") == {routed.node.id: (1,), inner: (1, 0)}
    assert scope(tables["api"], "20.0.0.17") == 28


def test_max_scope_may_be_as_fine_as_an_address(tree, tmp_path):
    path = write_database(tmp_path / "city.mmdb", {"20.0.0.0/24": US, "20.0.0.7/32": DE})
    settings, maps = opened(path, max_scope=(32, 64))
    table = compile_one(Policy("web", tree.nearest("fra", "iad")), geo=settings, maps=maps)
    assert scope(table, "20.0.0.7") == 32


# --- memory and sharing --------------------------------------------------------------------


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


def test_equal_policies_share_their_arrays(tree, tmp_path):
    settings, maps = opened(write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US}))
    first, second = tree.nearest("fra", "iad"), tree.nearest("fra", "iad")
    config = configure(Policy("a", first), Policy("b", second), geo=settings)
    tables = compile_tables(config, maps, None)
    assert tables["a"].ipv4.starts is tables["b"].ipv4.starts
    assert {first.id} == set(tables["a"].treatments[0])
    assert {second.id} == set(tables["b"].treatments[0])


def test_shares_are_those_of_the_address_space(tree, tmp_path):
    settings, maps = opened(write_database(tmp_path / "city.mmdb", {"20.0.0.0/8": US}))
    node = tree.nearest("fra", "iad")
    table = compile_one(Policy("web", node), geo=settings, maps=maps)
    american = table.treatments.index({node.id: (1, 0)})
    special = sum(2.0**-n.length for n in SPECIAL if n.family == 4)
    assert table.shares[0][american] == pytest.approx(1 / 256)
    assert sum(table.shares[0]) == pytest.approx(1 - special)


# --- everything at once --------------------------------------------------------------------


def random_records(rng):
    """Networks no longer than max_scope, so that every address is its own record's."""
    records = {}
    for _ in range(20):
        first = rng.choice((0x14000000, 0x7F000000, 0xC0000000, 0)) | rng.getrandbits(27)
        net = ip_network((first, rng.randint(6, 24)), strict=False)
        records[str(net)] = a_record(rng)
    for _ in range(20):
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
    """The edges of every network, their neighbours, and a few others."""
    for text in [*records, *exact]:
        net = ip_network(text)
        for address in (net[0], net[-1]):
            for step in (-1, 0, 1):
                near = int(address) + step * (1 << 64 if net.version == 6 else 1)
                if 0 <= near < 1 << net.max_prefixlen:
                    yield str(type(address)(near))
    for _ in range(20):
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


@given(st.integers(0, 1 << 32))
def test_the_tables_say_what_the_scalar_rules_say(tmp_path_factory, seed):
    rng = random.Random(seed)
    records = random_records(rng)
    exact = [
        "20.1.2.0/25",
        "20.1.2.64/26",
        "127.0.0.8/29",
        "10.0.0.0/9",
        "2a00:1::/60",
        "2001:db8::/48",
    ]
    config, maps = a_world(tmp_path_factory, records, rng)
    tables, locator = compile_tables(config, maps, None), Locator(config, maps)
    for address in sampled(records, rng, exact):
        location, networks = known(locator, address)
        for policy in config.policies.values():
            expected = location and reference(config, policy, location, networks)
            assert treatment(tables[policy.name], address) == expected, address
    for policy in config.policies.values():
        table = tables[policy.name]
        assert table.treatments[table.unknown] == reference(config, policy, NOWHERE, ())


def a_world(tmp_path_factory, records, rng):
    tree, folder = Tree(), tmp_path_factory.mktemp("world")
    path = write_database(folder / "city.mmdb", records)
    asns = {"20.0.0.0/10": {"autonomous_system_number": 64500}}
    asns |= {"20.1.2.0/24": {"autonomous_system_number": 64501}}
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


@given(st.integers(0, 1 << 32))
def test_no_leaf_is_longer_than_max_scope_where_no_exact_network_is(tmp_path_factory, seed):
    rng = random.Random(seed)
    records = {
        str(ip_network((0x14000000 | rng.getrandbits(12), 32))): a_record(rng) for _ in range(80)
    }
    path = write_database(tmp_path_factory.mktemp("world") / "city.mmdb", records)
    settings, maps = opened(path)
    policy = Policy("web", Tree().nearest("fra", "iad", "nrt", "gru"))
    table = compile_one(policy, geo=settings, maps=maps)
    assert all(table.leaf(*number(address))[1] <= 24 for address in sampled(records, rng))
