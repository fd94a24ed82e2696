"""Policies and maps compiled into tables, compared with the scalar rules."""

from __future__ import annotations

import pytest
from gslb.core.policy import Policy, Sticky
from gslb.geo.database import Maps, open_maps
from gslb.geo.special import SPECIAL
from gslb.geo.treatment import compile_tables

from globe import (
    city,
    configure,
    groups,
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
