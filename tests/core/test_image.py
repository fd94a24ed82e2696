"""Zones as buffers: what was put in is found, whatever the names."""

from __future__ import annotations

import pytest
from gslb.core.image import build
from gslb.core.zone import APEX as IS_APEX
from gslb.core.zone import CUT, OCCLUDED, WILD, RRset
from gslb.wire.name import from_labels, from_text, parent
from gslb.wire.rrtype import NS
from hypothesis import given
from hypothesis import strategies as st

from sample import APEX, a, names, soa

TOP = from_text(APEX)
SOA = soa(f"ns1.{APEX}", f"hostmaster.{APEX}")


def test_a_zone_without_soa_is_no_zone() -> None:
    with pytest.raises(KeyError, match="SOA"):
        build(TOP, {TOP: [a("192.0.2.1")]})


def test_cuts_occlude_what_is_below_and_stars_mark_their_parent() -> None:
    zone = build(
        TOP,
        {
            TOP: [SOA],
            from_text(f"sub.{APEX}"): [names(NS, f"ns.sub.{APEX}")],
            from_text(f"ns.sub.{APEX}"): [a("192.0.2.1")],
            from_text(f"*.w.{APEX}"): [a("192.0.2.2")],
        },
    )
    flags = {
        owner: zone.flags(zone.place(from_text(f"{owner}{APEX}")))
        for owner in ("", "sub.", "ns.sub.", "w.", "*.w.")
    }
    assert flags == {"": IS_APEX, "sub.": CUT, "ns.sub.": OCCLUDED, "w.": WILD, "*.w.": 0}


LABEL = st.binary(min_size=1, max_size=8).map(bytes.lower)
OWNERS = st.lists(st.lists(LABEL, min_size=1, max_size=4), max_size=30)


@given(OWNERS, OWNERS)
def test_what_was_put_in_is_found_and_nothing_else(inside, outside) -> None:
    records = {from_labels(labels)[:-1] + TOP: [RRset(1, 60, (bytes(4),))] for labels in inside}
    zone = build(TOP, {TOP: [SOA], **records})
    exist = {TOP}
    for key in records:
        while key not in exist:
            exist.add(key)
            key = parent(key)
    assert zone.names == len(exist)
    for key in exist:
        node = zone.find(key)
        assert node is not None
        assert node.name == key
        if key in records and key != TOP:
            assert node.rrsets == tuple(records[key])
    for labels in outside:
        key = from_labels(labels)[:-1] + TOP
        assert (zone.find(key) is not None) == (key in exist)
