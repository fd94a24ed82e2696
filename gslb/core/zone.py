"""A zone as plain buffers: an index and a blob that need no Python to be understood.

Knows: where the records of a name lie, and what a name is (apex, cut, occluded, empty
non-terminal). Refuses to know: master files, replies. Invariant: nothing is decoded until
it is asked for, so a zone of a million records is mapped from another process in no time
(architecture.md, The engine seam).

Layout. `index` holds 2**k slots of u32: 0 for an empty slot, else 1 + the place of a
record in `blob`. A name's first slot is crc32(key) modulo the number of slots, the next
ones follow in turn. A record, in network order::

    u8 length of key | key (lower-case wire name) | u8 flags | u16 number of RRsets
    per RRset: u16 type | u32 TTL | u16 number of rdatas | u32 octets | rdatas
    per rdata: u16 length | octets

Behind the last record stand the types that occur in the zone, u16 each, and their number, u16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct
from zlib import crc32

from gslb.wire.rrtype import NS, STEER

APEX = 1
CUT = 2  # a delegation: NS below the apex
OCCLUDED = 4  # below a cut: glue, or data nobody may be given (RFC 1034 section 4.2.1)
WILD = 8  # "*" exists directly below this name

_RRSET = Struct("!HIHI")
_U16 = Struct("!H")


@dataclass(frozen=True, slots=True)
class RRset:
    """Records of one type at a name: TTL in seconds, rdata in uncompressed wire form."""

    type: int
    ttl: int
    rdatas: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """A name that exists. `name` is the key; no RRsets means an empty non-terminal."""

    name: bytes
    flags: int
    rrsets: tuple[RRset, ...]

    def get(self, rrtype: int) -> RRset | None:
        """The RRset of a type; STEER is kept like any other type."""
        for rrset in self.rrsets:
            if rrset.type == rrtype:
                return rrset
        return None

    @property
    def steer(self) -> tuple[str, int] | None:
        """(policy name, TTL) if the name is steered."""
        rrset = self.get(STEER)
        return None if rrset is None else (rrset.rdatas[0][1:].decode(), rrset.ttl)


@dataclass(frozen=True, slots=True)
class Zone:
    """One zone. `index` indexes to ints, `blob` slices to bytes; neither is ever changed.

    `index` is an array or memoryview of u32, `blob` bytes or a memoryview of octets.
    """

    apex: bytes
    serial: int
    names: int
    records: int
    index: Sequence[int]
    blob: bytes | memoryview

    @property
    def types(self) -> frozenset[int]:
        """The types that some name of the zone has."""
        blob = self.blob
        (count,) = _U16.unpack_from(blob, len(blob) - 2)
        tail = blob[len(blob) - 2 - 2 * count : len(blob) - 2]
        return frozenset(rrtype for (rrtype,) in _U16.iter_unpack(tail))

    def place(self, key: bytes) -> int:
        """Where the record of a name lies in `blob`, or -1 if the name does not exist."""
        index, blob = self.index, self.blob
        mask = len(index) - 1
        slot = crc32(key) & mask
        size = len(key)
        while place := index[slot]:
            if blob[place - 1] == size and blob[place : place + size] == key:
                return place - 1
            slot = (slot + 1) & mask
        return -1

    def flags(self, place: int) -> int:
        """The flags of the record at a place."""
        return self.blob[place + 1 + self.blob[place]]

    def node(self, place: int) -> Node:
        """The record at a place, decoded."""
        blob = self.blob
        at = place + 1 + blob[place]
        name = bytes(blob[place + 1 : at])
        flags = blob[at]
        (count,) = _U16.unpack_from(blob, at + 1)
        at += 3
        rrsets: list[RRset] = []
        for _ in range(count):
            rrtype, ttl, number, _octets = _RRSET.unpack_from(blob, at)
            at += _RRSET.size
            rdatas: list[bytes] = []
            for _ in range(number):
                (length,) = _U16.unpack_from(blob, at)
                rdatas.append(bytes(blob[at + 2 : at + 2 + length]))
                at += 2 + length
            rrsets.append(RRset(rrtype, ttl, tuple(rdatas)))
        return Node(name, flags, tuple(rrsets))

    def find(self, key: bytes) -> Node | None:
        """The node of a name, or None if the name does not exist."""
        place = self.place(key)
        return None if place < 0 else self.node(place)


def is_delegation(rrsets: Sequence[RRset]) -> bool:
    """True if the RRsets of a name below the apex make it a zone cut."""
    return any(rrset.type == NS for rrset in rrsets)
