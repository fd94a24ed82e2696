"""Bodies: whatever octets come, an order or words; whatever is told, times in UTC."""

from __future__ import annotations

import json

import pytest
from gslb.control.body import (
    LoadOrder,
    OverrideOrder,
    ReportOrder,
    parse,
    read_when,
    read_why,
    stamp,
    write,
)
from gslb.control.body import OverrideBody as Shown
from hypothesis import given
from hypothesis import strategies as st

from .desk import NOW

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.dictionaries(
    st.sampled_from(["state", "why", "until", "lead", "load", "x"]),
    st.sampled_from(["up", "down", "drain", "2h", "10m", "1s", "2030-01-01T00:00:00Z", "", 1, None])
    | JSON,
)
ORDERS = (OverrideOrder, LoadOrder, ReportOrder)


def check(octets):
    """Every order either parses to what is safe to use, or is refused in words."""
    for model in ORDERS:
        try:
            order = parse(model, octets)
        except ValueError as error:
            assert type(error) is ValueError  # noqa: PT017 - a subclass would be a defect
            assert 0 < len(str(error)) < 2000  # noqa: PT017
            continue
        assert order.model_dump_json()
        if isinstance(order, OverrideOrder):
            assert order.why.isprintable()
            assert 1 <= len(order.why) <= 200
            ends_soundly(order)


def ends_soundly(order):
    """An end is after the beginning, and can be written."""
    try:
        ends = order.ends_at(NOW)
    except ValueError:
        return
    assert ends is None or NOW + order.lead_s < ends <= NOW + 3660 * 86400
    assert order.state != "up" or ends is not None
    assert ends is None or read_when(stamp(ends + 1), NOW) >= ends


@given(st.binary())
def test_any_octets_are_an_order_or_refused_in_words(octets):
    check(octets)


@given(FIELDS)
def test_any_fields_are_an_order_or_refused_in_words(fields):
    check(json.dumps(fields).encode("utf-8", "surrogatepass"))


@given(st.text())
def test_a_reason_is_one_printable_line(text):
    try:
        why = read_why(text)
    except ValueError:
        return
    assert why == why.strip()
    assert why.isprintable()
    assert read_why(why) == why


def test_thousands_of_unknown_fields_make_a_short_reply():
    octets = json.dumps({f"{n:04}\n" + "a" * 100: n for n in range(500)}).encode()
    with pytest.raises(ValueError, match="unknown field") as caught:
        parse(LoadOrder, octets)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@given(st.floats(0, 4e9), st.none() | st.floats(0, 4e9))
def test_what_is_told_has_its_times_in_utc(at, until):
    shown = Shown(
        kind="pool",
        name="web",
        state="down",
        who="me",
        why="a",
        at=at,
        effective_at=at,
        until=until,
        real="up",
        caches_empty_at=None,
    )
    body = json.loads(write(shown))
    assert body["at"] == stamp(at)
    assert body["at"].endswith("Z")
    assert body["until"] == (None if until is None else stamp(until))
