"""Whether the serials of changed zones rose.

Knows: serial number arithmetic (RFC 1982) and when two zones hold the same. Refuses to know:
who reads zones. Invariant: the order of records is no content, the SOA's own serial is none
either; comparing costs little unless a zone's octets differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gslb.core.world import Plan
from gslb.core.zone import Zone
from gslb.errors import Problem, Where
from gslb.wire.name import to_text
from gslb.wire.rrtype import SOA

_HALF: Final = 1 << 31
_SERIAL: Final = slice(-20, -16)  # in the rdata of an SOA: the five last fields are fixed

Content = frozenset[tuple[int, int, frozenset[bytes]]]


def compare_serials(path: str, old: Plan, new: Plan) -> tuple[Problem, ...]:
    """A warning for every zone whose content changed without a higher serial."""
    problems = []
    for apex, zone in new.zones.items():
        before = old.zones.get(apex)
        if before is None or rises(before.serial, zone.serial) or is_same(before, zone):
            continue
        fell = "is still" if zone.serial == before.serial else f"was {before.serial} and is"
        what = f"its content changed, but its serial {fell} {zone.serial}"
        hint = f"raise it, to {suggest(before.serial)} or more; secondaries would miss the change"
        problems.append(Problem(Where(path), f"zone {to_text(apex)}", what, hint, "warning"))
    return tuple(problems)


def rises(before: int, after: int) -> bool:
    """Whether `after` is greater than `before` (RFC 1982 section 3.2)."""
    return 0 < (after - before) % (1 << 32) < _HALF


def suggest(serial: int) -> int:
    """The next serial; 0 is left out, which some software takes for none."""
    return (serial + 1) % (1 << 32) or 1


def is_same(one: Zone, other: Zone) -> bool:
    """Whether two zones hold the same records."""
    if one.blob == other.blob:
        return True
    if (one.names, one.records) != (other.names, other.records):
        return False
    return all(
        other.place(name) >= 0 and content == _content(other, name)
        for name, content in _contents(one)
    )


def _contents(zone: Zone) -> Iterator[tuple[bytes, Content]]:
    for place in zone.index:
        if place:
            name = zone.node(place - 1).name
            yield name, _content(zone, name)


def _content(zone: Zone, name: bytes) -> Content:
    """What a name holds, in no order, an SOA without its serial."""
    node = zone.find(name)
    assert node is not None, "the name is in the zone"
    return frozenset(
        (rrset.type, rrset.ttl, frozenset(_less_serial(rrset.type, r) for r in rrset.rdatas))
        for rrset in node.rrsets
    )


def _less_serial(rrtype: int, rdata: bytes) -> bytes:
    return rdata if rrtype != SOA else rdata[: _SERIAL.start] + rdata[_SERIAL.stop :]
