"""Flattens the search tree of a MaxMind database, level by level, in numpy.

Knows: the binary layout of the tree (MaxMind DB 2.0: records of 24, 28 and 32 bits, IPv4 at
::/96, aliases of it elsewhere). Refuses to know: the data section. Invariant: every record
is checked against the tree's and the data section's bounds, and no more nodes are visited
than a sound tree can have, so that neither loops nor garbage cost more than a bounded time
and memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from gslb.geo.database import SEPARATOR_OCTETS, BrokenDatabaseError, Layout
from gslb.geo.span import Addresses, Numbers, Span, uniform

Records = npt.NDArray[np.uint32]

EMPTY: Final = 0  # the value of addresses without a record; others are record - node_count
_SLACK: Final = 1 << 16  # visits beyond the node count: shared subtrees are legal but rare


@dataclass(frozen=True, slots=True)
class Tree:
    """`records[n]` holds the left and right record of node n."""

    layout: Layout
    records: Records


def read_tree(content: bytes, layout: Layout) -> Tree:
    """The search tree at the beginning of a database file."""
    octets = layout.tree_octets
    data_octets = len(content) - octets - SEPARATOR_OCTETS
    if data_octets <= 0:
        raise BrokenDatabaseError("is cut short: the search tree does not fit")
    count = layout.node_count
    raw = np.frombuffer(content, np.uint8, octets).reshape(count, layout.record_size // 4)
    records: Records = np.empty((count, 2), np.uint32)
    match layout.record_size:
        case 24:
            records[:, 0] = _big_endian(raw[:, 0:3])
            records[:, 1] = _big_endian(raw[:, 3:6])
        case 28:
            # The middle octet's high nibble belongs to the left record, the low to the right.
            high = raw[:, 3].astype(np.uint32)
            records[:, 0] = _big_endian(raw[:, 0:3]) | (high & 0xF0) << 20
            records[:, 1] = _big_endian(raw[:, 4:7]) | (high & 0x0F) << 24
        case _:
            records[:] = raw.reshape(-1).view(">u4").reshape(count, 2)
    top = int(records.max())
    if top > count and top - count - SEPARATOR_OCTETS >= data_octets:
        raise BrokenDatabaseError("is corrupt: the search tree points outside the data section")
    if bool(((records > count) & (records < count + SEPARATOR_OCTETS)).any()):
        raise BrokenDatabaseError("is corrupt: the search tree points between its sections")
    return Tree(layout, records)


@dataclass(frozen=True, slots=True)
class Flat:
    """Each address's value: its record less the node count, or `EMPTY`.

    IPv6 is the upper 64 bits; `below` has an address (128 bits) of each value that was the
    majority of a /64 and may not lie at that /64's beginning.
    """

    ipv4: Span
    ipv6: Span
    below: dict[int, int]


def flatten(tree: Tree) -> Flat:
    """Every leaf of both families; what aliases the IPv4 tree is empty."""
    below: dict[int, int] = {}
    if tree.layout.ip_version == 4:
        return Flat(_walk(tree, 0, 32, None, below), uniform(64), below)
    count = tree.layout.node_count
    ipv4 = 0
    for _ in range(96):
        ipv4 = int(tree.records[ipv4, 0])
        if ipv4 >= count:  # all of ::/96 lies in one leaf
            whole = Span(32, np.zeros(1, np.uint64), np.array([ipv4 - count], np.int64))
            return Flat(whole, _walk(tree, 0, 64, None, below), below)
    return Flat(_walk(tree, ipv4, 32, None, below), _walk(tree, 0, 64, ipv4, below), below)


def _big_endian(columns: npt.NDArray[np.uint8]) -> Records:
    wide = np.zeros((len(columns), 4), np.uint8)
    wide[:, 1:] = columns
    return wide.view(">u4")[:, 0]


def _walk(tree: Tree, root: int, bits: int, alias: int | None, below: dict[int, int]) -> Span:
    """All leaves below `root`. An aliased IPv4 tree is empty; what is deeper than `bits` gets
    the value of the greater part of it (IPv6 only)."""
    count = tree.layout.node_count
    nodes, prefixes = np.array([root], np.int64), np.zeros(1, np.uint64)
    starts: list[Addresses] = []
    values: list[Numbers] = []
    visited = 0
    for depth in range(1, bits + 1):
        visited += len(nodes)
        if visited > count + _SLACK:
            raise BrokenDatabaseError("is corrupt: the search tree loops")
        children, addresses = _descend(tree, nodes, prefixes, np.uint64(1 << (bits - depth)))
        if alias is not None:
            children[children == alias] = count
        leaf = children >= count
        starts.append(addresses[leaf])
        values.append(children[leaf] - count)
        nodes, prefixes = children[~leaf], addresses[~leaf]
    if len(nodes):
        if bits == 32:
            raise BrokenDatabaseError("is corrupt: the search tree is deeper than an address")
        starts.append(prefixes)
        values.append(_majority(tree, nodes, prefixes, alias, below))
    found = np.concatenate(starts)
    order = np.argsort(found, kind="stable")
    return Span(bits, found[order], np.concatenate(values)[order]).merged()


def _descend(
    tree: Tree, nodes: Numbers, prefixes: Addresses, half: np.uint64
) -> tuple[Numbers, Addresses]:
    children = tree.records[nodes].reshape(-1).astype(np.int64)
    addresses = np.repeat(prefixes, 2)
    addresses[1::2] |= half
    return children, addresses


def _majority(
    tree: Tree, nodes: Numbers, roots: Addresses, alias: int | None, below: dict[int, int]
) -> Numbers:
    """For each node at depth 64 the value that most of its addresses have; of equals, the one
    that begins lowest."""
    count = tree.layout.node_count
    tallies: list[dict[int, list[int]]] = [{} for _ in nodes]
    owners, prefixes = np.arange(len(nodes)), np.zeros(len(nodes), np.uint64)
    visited = 0  # of the lower half alone
    for depth in range(1, 65):
        visited += len(nodes)
        if visited > count + _SLACK:
            raise BrokenDatabaseError("is corrupt: the search tree loops")
        size = 1 << (64 - depth)
        nodes, prefixes = _descend(tree, nodes, prefixes, np.uint64(size))
        owners = np.repeat(owners, 2)
        if alias is not None:
            nodes[nodes == alias] = count
        leaf = nodes >= count
        found = zip(
            owners[leaf].tolist(), nodes[leaf].tolist(), prefixes[leaf].tolist(), strict=True
        )
        for owner, record, first in found:
            tally = tallies[owner].setdefault(record - count, [0, first])
            tally[0] += size
            tally[1] = min(tally[1], first)
        nodes, prefixes, owners = nodes[~leaf], prefixes[~leaf], owners[~leaf]
    if len(nodes):
        raise BrokenDatabaseError("is corrupt: the search tree is deeper than an address")
    chosen = np.empty(len(tallies), np.int64)
    for owner, tally in enumerate(tallies):
        value = max(tally, key=lambda v: (tally[v][0], -tally[v][1]))
        chosen[owner] = value
        below[value] = int(roots[owner]) << 64 | tally[value][1]
    return chosen
