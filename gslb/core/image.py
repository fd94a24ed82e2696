"""Building a zone's buffers (their layout is in zone.py) from its records.

Knows: empty non-terminals, cuts, occlusion, wildcards, as RFC 1034, 4592 and 8020 define
them. Refuses to know: where the records came from; they are valid when they arrive here.
Invariant: a name in the image exists (RFC 8020), and every name between it and the apex
does too.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from zlib import crc32

from gslb.core.zone import APEX, CUT, OCCLUDED, WILD, RRset, Zone, is_delegation
from gslb.wire.name import parent
from gslb.wire.rrtype import SOA

_STAR = b"\x01*"


def build(apex: bytes, records: Mapping[bytes, Iterable[RRset]]) -> Zone:
    """A Zone from its RRsets by key (lower-case wire name); keys are at or below `apex`.

    Raises KeyError if the apex has no SOA: a caller who has checked never sees it.
    """
    nodes: dict[bytes, tuple[RRset, ...]] = {key: tuple(rrsets) for key, rrsets in records.items()}
    flags = _flags(apex, nodes)
    blob = bytearray()
    places: list[tuple[bytes, int]] = []
    count = 0
    types: set[int] = set()
    for key, flag in flags.items():
        places.append((key, len(blob)))
        rrsets = nodes.get(key, ())
        blob += bytes((len(key),)) + key + bytes((flag,)) + len(rrsets).to_bytes(2, "big")
        for rrset in rrsets:
            types.add(rrset.type)
            count += len(rrset.rdatas)
            body = b"".join(len(rdata).to_bytes(2, "big") + rdata for rdata in rrset.rdatas)
            blob += rrset.type.to_bytes(2, "big") + rrset.ttl.to_bytes(4, "big")
            blob += len(rrset.rdatas).to_bytes(2, "big") + len(body).to_bytes(4, "big") + body
    for rrtype in sorted(types):
        blob += rrtype.to_bytes(2, "big")
    blob += len(types).to_bytes(2, "big")
    soa = next((rrset for rrset in nodes.get(apex, ()) if rrset.type == SOA), None)
    if soa is None:
        raise KeyError("a zone has an SOA record at its apex")
    return Zone(
        apex=apex,
        serial=int.from_bytes(soa.rdatas[0][-20:-16], "big"),
        names=len(places),
        records=count,
        index=_index(places),
        blob=bytes(blob),
    )


def _flags(apex: bytes, nodes: Mapping[bytes, tuple[RRset, ...]]) -> dict[bytes, int]:
    """Every name that exists, empty non-terminals included, with its flags."""
    flags = {apex: APEX}
    for key in nodes:
        while key not in flags:
            flags[key] = 0
            key = parent(key)
    for key in flags:
        if key.startswith(_STAR):
            flags[parent(key)] |= WILD
        if key != apex and is_delegation(nodes.get(key, ())):
            flags[key] |= CUT
    for key in sorted(flags, key=len):
        if key != apex and flags[parent(key)] & (CUT | OCCLUDED):
            flags[key] |= OCCLUDED
    return flags


def _index(places: Iterable[tuple[bytes, int]]) -> array[int]:
    """Open addressing, at most half full, so that a miss ends after a step or two."""
    entries = list(places)
    size = 8
    while size < 2 * len(entries):
        size *= 2
    index = array("I", bytes(4 * size))
    mask = size - 1
    for key, place in entries:
        slot = crc32(key) & mask
        while index[slot]:
            slot = (slot + 1) & mask
        index[slot] = place + 1
    return index
