"""A reply as something to compare: names without compression and case, RRsets without an order.

dnspython would do, and reads one reply in the time in which this reads ten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gslb.wire.rrtype import CNAME, DNAME, HTTPS, MX, NS, OPT, PTR, SOA, SRV, SVCB

AA: Final = 0x0400
TC: Final = 0x0200

# Names in rdata, and the octets before the first: compressed by some, in lower case by some.
_NAMES: Final = {NS: 0, CNAME: 0, PTR: 0, DNAME: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2, SOA: 0}
_HEAD = Struct("!6H")
_RECORD = Struct("!HHIH")


@dataclass(frozen=True)
class RRset:
    """Records of one owner and type; `data` has names in lower case."""

    owner: bytes
    type: int
    ttl: int
    data: frozenset[bytes]


RRsets = Mapping[tuple[bytes, int], RRset]


@dataclass(frozen=True)
class Reply:
    """The sections of a reply, OPT apart; `rcode` with the upper bits of OPT, `size` in octets.

    `has_capitals` says that a name in some data was not in lower case.
    """

    flags: int
    rcode: int
    answer: RRsets
    authority: RRsets
    additional: RRsets
    size: int = 0
    has_capitals: bool = False


def read(octets: bytes) -> Reply:
    """A whole reply; anything but a right one raises."""
    _, flags, questions, *counts = _HEAD.unpack_from(octets)
    at, rcode, has_capitals = _HEAD.size, flags & 0xF, False
    for _ in range(questions):
        at = _name(octets, at)[1] + 4
    sections: list[dict[tuple[bytes, int], RRset]] = []
    for count in counts:
        section: dict[tuple[bytes, int], RRset] = {}
        for _ in range(count):
            name, at = _name(octets, at)
            owner = name.lower()
            rrtype, _, ttl, size = _RECORD.unpack_from(octets, at)
            at += _RECORD.size
            if rrtype == OPT:
                rcode |= ttl >> 24 << 4
            else:
                head, names, tail = _data(octets, at, at + size, rrtype)
                has_capitals |= names != names.lower()
                data = {head + names.lower() + tail}
                before = section.get((owner, rrtype))
                if before is not None:
                    assert before.ttl == ttl, "two TTLs in an RRset"
                    data |= before.data
                section[owner, rrtype] = RRset(owner, rrtype, ttl, frozenset(data))
            at += size
        sections.append(section)
    assert at == len(octets), "octets behind the last record"
    return Reply(flags & (AA | TC | 0x0190), rcode, *sections, len(octets), has_capitals)


def _data(octets: bytes, at: int, end: int, rrtype: int) -> tuple[bytes, bytes, bytes]:
    """(what stands before the names of some data, the names, the rest)."""
    if rrtype not in _NAMES:
        return octets[at:end], b"", b""
    start = at + _NAMES[rrtype]
    names, after = _name(octets, start)
    if rrtype == SOA:
        second, after = _name(octets, after)
        names += second
    return octets[at:start], names, octets[after:end]


def _name(octets: bytes, at: int) -> tuple[bytes, int]:
    """(name, where it ends)."""
    found, after = b"", 0
    while size := octets[at]:
        if size & 0xC0:
            after = after or at + 2
            at = (size & 0x3F) << 8 | octets[at + 1]
        else:
            found += octets[at : at + 1 + size]
            at += 1 + size
    return found + b"\0", after or at + 1
