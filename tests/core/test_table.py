"""Ranges, leaves and scopes: leaves never overlap across treatments (RFC 7871 section 7.2.1)."""

from __future__ import annotations

from array import array
from ipaddress import IPv4Network, ip_network
from itertools import pairwise

from gslb.core.table import PolicyTable, RangeTable, uniform_table
from hypothesis import given
from hypothesis import strategies as st

TOP = 1 << 32


@st.composite
def ranges(draw: st.DrawFn) -> tuple[RangeTable, RangeTable, list[int]]:
    """(merged table of treatments, master table, mapping) over the same random cuts."""
    bits = draw(st.lists(st.tuples(st.integers(0, TOP - 1), st.integers(0, 32)), max_size=12))
    # Cuts at round numbers as well: that is where leaves are long.
    starts = sorted({0, *(address >> low << low for address, low in bits)})
    values = draw(st.lists(st.integers(0, 7), min_size=len(starts), max_size=len(starts)))
    mapping = draw(st.lists(st.integers(0, 2), min_size=8, max_size=8))
    merged: list[tuple[int, int]] = []
    for start, value in zip(starts, values, strict=True):
        if not merged or merged[-1][1] != mapping[value]:
            merged.append((start, mapping[value]))
    own = RangeTable(32, array("I", [s for s, _ in merged]), array("I", [v for _, v in merged]))
    return own, RangeTable(32, array("I", starts), array("I", values)), mapping


def leaf(table: RangeTable, address: int) -> IPv4Network:
    _, length = table.leaf(address)
    return IPv4Network((address >> (32 - length) << (32 - length) if length else 0, length))


@given(ranges(), st.lists(st.integers(0, TOP - 1), min_size=2, max_size=20))
def test_leaves_hold_one_treatment_and_never_overlap(tables, addresses) -> None:
    own, _, _ = tables
    edges = [edge for start in own.starts for edge in (start, (start - 1) % TOP)]
    leaves = {leaf(own, address) for address in (*addresses, *edges)}
    for one in leaves:
        first, last = int(one[0]), int(one[-1])
        assert own.value(first) == own.value(last)
        assert not [start for start in own.starts if first < start <= last]
        if one.prefixlen:  # no shorter prefix would do
            wider = one.supernet()
            assert [s for s in own.starts if int(wider[0]) < s <= int(wider[-1])]
    ordered = sorted(leaves)
    assert not any(a.overlaps(b) for a, b in pairwise(ordered))


@given(ranges(), st.integers(0, TOP - 1))
def test_without_a_table_of_its_own_a_policy_has_the_same_leaves(tables, address) -> None:
    own, master, mapping = tables
    assert master.mapped_leaf(address, mapping) == own.leaf(address)


@given(ranges(), st.integers(0, TOP - 1), st.integers(0, 32))
def test_a_leaf_is_cut_to_the_least_length(tables, address, least) -> None:
    own, master, mapping = tables
    v6 = RangeTable(64, (0,), (0,))
    for first, how in ((own, None), (master, mapping)):
        table = PolicyTable(({}, {}, {}), 0, 3, first, v6, how, (least, 0))
        number, scope = table.leaf(4, address)
        assert (number, scope) == (own.value(address), max(least, own.leaf(address)[1]))


def test_a_policy_that_never_looks_at_the_client_has_scope_0_in_both_families() -> None:
    table = uniform_table({})
    assert table.leaf(4, int(ip_network("203.0.113.0/24")[0])) == (0, 0)
    assert table.leaf(6, 0x20010DB8 << 32) == (0, 0)


def test_heads_change_nothing_but_the_way() -> None:
    starts = (0, 1, 0x0000FFFF, 0x00010000, 0x00018000, 0x7F000000, 0xFFFF0000, 0xFFFFFFFF)
    values = tuple(range(len(starts)))
    heads = tuple(sum(start < head << 16 for start in starts) for head in range(1 << 16))
    plain = RangeTable(32, starts, values)
    quick = RangeTable(32, starts, values, (*heads, len(starts)))
    near = {start + step & 0xFFFFFFFF for start in starts for step in (-1, 0, 1)}
    assert [quick.leaf(at) for at in sorted(near)] == [plain.leaf(at) for at in sorted(near)]
