"""Times as people read them."""

import pytest
from gslb.moment import parse_time, span_text, time_text
from hypothesis import given
from hypothesis import strategies as st

NOW = 1795286400.0  # 2026-11-21T18:40:00Z


def test_a_time_of_the_api_is_understood():
    assert parse_time("2026-11-21T18:40:00Z") == NOW
    assert parse_time("2026-11-21T19:40:00+01:00") == NOW


@pytest.mark.parametrize("value", [None, 7, "", "now", "2026-11-21T18:40:00", "9" * 5000, []])
def test_what_is_no_time_is_none(value):
    assert parse_time(value) is None


@pytest.mark.parametrize(
    ("offset_s", "text"),
    [
        (0, "18:40:00Z"),
        (5 * 3600, "23:40:00Z"),
        (6 * 3600, "Nov 22 00:40Z"),
        (-19 * 3600, "Nov 20 23:40Z"),
        (60 * 86400, "Jan 20 18:40Z"),
        (400 * 86400, "2027-12-26 18:40Z"),
    ],
)
def test_a_time_has_as_much_of_a_date_as_it_needs(offset_s, text):
    assert time_text(NOW + offset_s, NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.6, "1 min"),
        (330, "5 min 30 s"),
        (3600, "1 h"),
        (3630, "1 h"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 3600 * 4 + 59, "3 d 4 h"),
        (86400 * 400, "400 d"),
    ],
)
def test_a_span_has_its_two_largest_units(seconds, text):
    assert span_text(seconds) == text


@given(st.integers(0, 10**9))
def test_a_span_is_never_longer_than_it_says_by_more_than_its_last_unit(seconds):
    sizes = {"d": 86400, "h": 3600, "min": 60, "s": 1}
    words = span_text(seconds).split()
    told = sum(
        int(count) * sizes[unit] for count, unit in zip(words[::2], words[1::2], strict=True)
    )
    smallest = {"d": 3600, "h": 60, "min": 1, "s": 1}[words[1]]
    assert 0 <= seconds - told < smallest
