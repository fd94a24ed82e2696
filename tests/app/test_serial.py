"""When a zone's serial should have risen (RFC 1982)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from gslb.app.serial import compare_serials, is_same, rises, suggest
from gslb.core.image import build
from gslb.core.zone import RRset, Zone
from gslb.wire.name import from_text
from gslb.wire.rrtype import NS, SOA, TXT

from sample import make_world

APEX = from_text("example.com.")


def zone(serial: int, *texts: bytes, minimum: int = 60) -> Zone:
    soa = b"\0\0" + b"".join(n.to_bytes(4, "big") for n in (serial, 7200, 900, 86400, minimum))
    records = {
        APEX: (RRset(SOA, 300, (soa,)), RRset(NS, 300, (b"\2ns\0",))),
        **{
            from_text(f"{text.decode()}.example.com."): (RRset(TXT, 60, (b"\1a",)),)
            for text in texts
        },
    }
    return build(APEX, records)


@pytest.mark.parametrize(
    ("before", "after", "higher"),
    [
        (1, 2, True),
        (2, 2, False),
        (2, 1, False),
        (0xFFFF_FFFF, 0, True),
        (0, 0x7FFF_FFFF, True),
        (0, 0x8000_0000, False),  # undefined by the RFC, so nobody may rely on it
        (0, 0xFFFF_FFFF, False),
    ],
)
def test_serials_are_compared_around_the_circle(before: int, after: int, higher: bool) -> None:
    assert rises(before, after) is higher
    assert rises(before, suggest(before))


def test_order_and_the_serial_itself_are_no_content() -> None:
    assert is_same(zone(1, b"a", b"b"), zone(2, b"b", b"a"))
    assert not is_same(zone(1, b"a", b"b"), zone(1, b"a", b"c"))
    assert not is_same(zone(1, b"a"), zone(1, b"a", b"b"))
    assert not is_same(zone(1), zone(1, minimum=61))


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (zone(7, b"a"), zone(8, b"b"), ""),
        (zone(7, b"a"), zone(7, b"a"), ""),
        (zone(7, b"a"), zone(6, b"a"), ""),
        (zone(7, b"a"), zone(7, b"b"), "its serial is still 7; raise it, to 8 or more"),
        (zone(7, b"a"), zone(6, b"b"), "its serial was 7 and is 6; raise it, to 8 or more"),
    ],
)
def test_only_a_change_without_a_rise_is_a_problem(before: Zone, after: Zone, says: str) -> None:
    plan = make_world().plan
    old, new = (replace(plan, zones={APEX: one}) for one in (before, after))
    told = [str(problem) for problem in compare_serials("zones", old, new)]
    assert [says in text for text in told] == ([True] if says else [])
    assert compare_serials("zones", replace(plan, zones={}), new) == ()
