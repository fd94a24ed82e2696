"""What a reporter makes of visits."""

from __future__ import annotations

import pytest
from gslb.lab.reporter import LEAST, OVER_S, Opinion


def opinion(visits: str, from_s: float = 0.0) -> Opinion:
    """`.` is a page, `x` is none; ten a second."""
    found = Opinion()
    for number, one in enumerate(visits):
        found.add(from_s + number / 10, one == "x")
    return found


@pytest.mark.parametrize(
    ("visits", "state"),
    [
        ("." * 30, "up"),
        ("..x" * 10, "down"),
        ("x" * (LEAST - 1), "up"),  # too few to say anything
        ("." * 28 + "xx", "up"),  # a bad moment
        ("x" * LEAST, "down"),
    ],
)
def test_one_failure_in_three_is_too_many_and_a_bad_moment_is_not(visits: str, state: str) -> None:
    assert opinion(visits).judge(3.0)[0] == state


def test_why_tells_how_many_and_no_more() -> None:
    assert opinion("..x" * 10).judge(3.0) == ("down", "10 of 30 visits failed")


def test_what_was_down_is_up_only_when_hardly_anything_fails() -> None:
    seen = opinion("..x" * 10)
    assert seen.judge(3.0)[0] == "down"
    for number in range(45):
        seen.add(3.0 + number / 10, failed=number % 9 == 0)
    assert seen.judge(7.5)[0] == "down"  # one in nine is between the two
    for number in range(50):
        seen.add(7.5 + number / 10, failed=False)
    assert seen.judge(7.5 + OVER_S + 0.1)[0] == "up"


def test_what_is_long_ago_does_not_count() -> None:
    seen = opinion("x" * 30)
    for number in range(LEAST):
        seen.add(60.0 + number / 10, failed=False)
    assert seen.judge(61.0) == ("up", f"0 of {LEAST} visits failed")
