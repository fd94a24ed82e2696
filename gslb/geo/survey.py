"""Turns open databases into atlases, from the cache where there is one.

Knows: the order of work (tree, ranges, one decoding of each distinct record, cache) and that
a large database is worth a cache. Refuses to know: policies, overrides. Invariant: a
database that turns out broken is a `Problem` and is left out; the others go on.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from socket import inet_ntoa
from typing import Final

import numpy as np

from gslb.errors import Problem
from gslb.geo import cache
from gslb.geo.atlas import Atlas, tabulate
from gslb.geo.database import BrokenDatabaseError, Database, Maps, broken
from gslb.geo.span import Numbers, Span
from gslb.geo.tree import EMPTY, Flat, flatten, read_tree

WORTH_CACHING: Final = 20_000  # records: fewer are decoded in a fraction of a second


def survey(maps: Maps, cache_dir: str | None) -> tuple[Maps, tuple[Problem, ...]]:
    """Build the atlas of every database, or read it from the cache.

    `cache_dir` is where the cache goes if the database's own folder cannot be written to.
    """
    kept: dict[str, Database] = {}
    atlases: dict[str, Atlas] = {}
    problems = []
    for database in maps.databases:
        info = database.info
        try:
            atlases[info.kind] = draw(database, cache_dir)
            kept[info.kind] = database
        except BrokenDatabaseError as error:
            problems.append(broken(info.kind, info.path, str(error)))
    return Maps(kept.get("city"), kept.get("asn"), atlases), tuple(problems)


def draw(database: Database, cache_dir: str | None, worth: int = WORTH_CACHING) -> Atlas:
    """The atlas of a database. Raises BrokenDatabaseError.

    One of at least `worth` records is cached.
    """
    size = database.fingerprint.size
    stored = cache.load(database.info, size, cache_dir)
    if stored is not None:
        return stored
    flat = flatten(read_tree(database.content(), database.layout))
    values, where = np.unique(
        np.concatenate((flat.ipv4.values, flat.ipv6.values)), return_index=True
    )
    values, where = values[values != EMPTY], where[values != EMPTY]
    columns, numbers = tabulate(database.records(_addresses(flat, values, where)))
    if not database.is_unchanged():
        raise BrokenDatabaseError("changed while it was read")
    # Without a record is location 0, as is a record that says nothing.
    values, numbers = np.insert(values, 0, EMPTY), np.insert(numbers, 0, 0)
    ipv4, ipv6 = (
        Span(span.bits, span.starts, numbers[np.searchsorted(values, span.values)]).merged()
        for span in (flat.ipv4, flat.ipv6)
    )
    atlas = Atlas(ipv4, ipv6, columns)
    if len(values) >= worth:
        cache.save(database.info, size, cache_dir, atlas)
    return atlas


def _addresses(flat: Flat, values: Numbers, where: Numbers) -> Iterator[str]:
    """An address of each value, in text form; `where` indexes the IPv4 ranges, then IPv6's."""
    split = len(flat.ipv4.starts)
    for value, index in zip(values.tolist(), where.tolist(), strict=True):
        if index < split:
            yield inet_ntoa(int(flat.ipv4.starts[index]).to_bytes(4, "big"))
        else:
            upper = int(flat.ipv6.starts[index - split]) << 64
            yield str(IPv6Address(flat.below.get(value, upper)))
