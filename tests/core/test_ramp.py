"""Slow start climbs from 10 % to 100 % in a straight line (health.md)."""

from __future__ import annotations

import pytest
from gslb.core.ramp import FULL, STEPS, next_step_s, ramp_percent
from hypothesis import given
from hypothesis import strategies as st

RAMPS = st.floats(0.001, 1e6)


def test_it_begins_with_a_tenth_and_ends_with_all() -> None:
    assert [ramp_percent(at, 60) for at in (0, 30, 59.9, 60, 1e9)] == [10, 55, 95, 100, 100]
    assert ramp_percent(-1, 60) == 10  # a clock that was set back


def test_without_a_ramp_the_weight_is_whole() -> None:
    assert (ramp_percent(0, 0), next_step_s(0, 0)) == (FULL, None)


@given(RAMPS)
def test_it_takes_a_bounded_number_of_steps_each_when_it_is_due(ramp_s: float) -> None:
    at, percents = 0.0, []
    while True:
        percents.append(ramp_percent(at, ramp_s))
        due = next_step_s(at, ramp_s)
        if due is None:
            break
        assert due > at
        at = due
    assert percents == list(range(10, 101, 5))
    assert len(percents) - 1 == STEPS <= 20
    assert at == pytest.approx(ramp_s)


@given(RAMPS, st.floats(0, 2), st.floats(0, 2))
def test_it_never_falls_and_stays_near_the_line(ramp_s: float, one: float, other: float) -> None:
    earlier, later = sorted((one, other))
    low, high = ramp_percent(earlier * ramp_s, ramp_s), ramp_percent(later * ramp_s, ramp_s)
    assert 10 <= low <= high <= FULL
    line = min(100.0, 10 + 90 * later)
    assert line - 5.001 <= high <= line + 0.001
