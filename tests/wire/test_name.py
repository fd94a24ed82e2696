"""Names in wire form: limits, folding, presentation."""

from __future__ import annotations

import contextlib

import dns.name
import pytest
from gslb.errors import FormatError
from gslb.wire import name as wn
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.lists(st.binary(min_size=1, max_size=63), max_size=12).filter(
    lambda labels: sum(len(label) + 1 for label in labels) < 255
)


@given(LABELS)
def test_text_and_back_is_the_same_name(labels: list[bytes]) -> None:
    name = wn.from_labels(labels)
    assert wn.from_text(wn.to_text(name)) == name
    assert wn.labels(name) == labels


@given(LABELS)
def test_the_presentation_is_what_dnspython_reads(labels: list[bytes]) -> None:
    name = wn.from_labels(labels)
    assert dns.name.from_text(wn.to_text(name)).to_wire() == name


@given(LABELS)
def test_lower_folds_letters_and_no_length_octet(labels: list[bytes]) -> None:
    name = wn.from_labels(labels)
    assert name.lower() == wn.from_labels([label.lower() for label in labels])


@given(LABELS, st.binary(max_size=9))
def test_parse_stops_behind_the_name(labels: list[bytes], tail: bytes) -> None:
    name = wn.from_labels(labels)
    assert wn.parse(b"head" + name + tail, 4) == 4 + len(name)
    assert wn.skip(b"head" + name + tail, 4) == 4 + len(name)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_octets_are_a_name_or_a_format_error(octets: bytes, offset: int) -> None:
    for read in (wn.parse, wn.skip):
        with contextlib.suppress(FormatError):
            assert offset < read(octets, offset) <= len(octets)


def test_a_pointer_is_no_name_in_a_question_but_is_stepped_over_elsewhere() -> None:
    with pytest.raises(FormatError):
        wn.parse(b"\x01a\xc0\x0c", 0)
    assert wn.skip(b"\x01a\xc0\x0c", 0) == 4
    with pytest.raises(FormatError):
        wn.skip(b"\x01a\xc0", 0)


def test_is_below_keeps_to_label_boundaries() -> None:
    zone = wn.from_text("example.test.")
    assert wn.is_below(zone, zone)
    assert wn.is_below(wn.from_text("www.example.test."), zone)
    assert not wn.is_below(wn.from_text("notexample.test."), zone)
    assert not wn.is_below(wn.from_text("test."), zone)
    assert wn.is_below(zone, wn.ROOT)
    # A label whose octets look like the suffix does not make it one.
    assert not wn.is_below(b"\x0e\x07example\x04test\0\0", b"\x07example\x04test\0")


def test_suffixes_end_at_the_root() -> None:
    assert [wn.to_text(n) for n in wn.suffixes(wn.from_text("a.b."))] == ["a.b.", "b.", "."]
    assert wn.parent(wn.ROOT) == wn.ROOT


@pytest.mark.parametrize(
    "text", ["a..b", "a" * 64, ".".join(["a" * 63] * 4) + ".aa", "\\25", "a\\"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"label|octets|backslash"):
        wn.from_text(text)


def test_names_beyond_ascii_are_written_by_idna() -> None:
    assert wn.from_text("bücher.example.") == wn.from_text("xn--bcher-kva.example.")
