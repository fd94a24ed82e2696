"""Draws the atlas of a database: the tree flattened, each distinct record decoded once.

Knows: the order of work. Refuses to know: caches, processes. Invariant: ranges without a
record, and records that say nothing, are location 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address
from socket import inet_ntoa

import numpy as np

from gslb.geo.atlas import Atlas, tabulate
from gslb.geo.database import BrokenDatabaseError, Database
from gslb.geo.span import Numbers, Span
from gslb.geo.tree import EMPTY, Flat, flatten, read_tree


def draw(database: Database, fast: bool = False) -> Atlas:
    """The atlas of a database; `fast` as in `Database.records`. Raises BrokenDatabaseError."""
    flat = flatten(read_tree(database.content(), database.layout))
    values, where = np.unique(
        np.concatenate((flat.ipv4.values, flat.ipv6.values)), return_index=True
    )
    values, where = values[values != EMPTY], where[values != EMPTY]
    columns, numbers = tabulate(database.records(_addresses(flat, values, where), fast))
    if not database.is_unchanged():
        raise BrokenDatabaseError("changed while it was read")
    values, numbers = np.insert(values, 0, EMPTY), np.insert(numbers, 0, 0)
    ipv4, ipv6 = (
        Span(span.bits, span.starts, numbers[np.searchsorted(values, span.values)]).merged()
        for span in (flat.ipv4, flat.ipv6)
    )
    return Atlas(ipv4, ipv6, columns)


def _addresses(flat: Flat, values: Numbers, where: Numbers) -> Iterator[str]:
    """An address of each value, in text form; `where` indexes the IPv4 ranges, then IPv6's."""
    split = len(flat.ipv4.starts)
    for value, index in zip(values.tolist(), where.tolist(), strict=True):
        if index < split:
            yield inet_ntoa(int(flat.ipv4.starts[index]).to_bytes(4, "big"))
        else:
            upper = int(flat.ipv6.starts[index - split]) << 64
            yield str(IPv6Address(flat.below.get(value, upper)))
