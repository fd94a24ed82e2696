"""What a region's machine can take: waits, load, breaking down."""

from __future__ import annotations

import pytest
from gslb.lab.queue import LOAD_OVER_S, MAX_WAIT_S, RESTART_S, Queue
from hypothesis import given
from hypothesis import strategies as st


def arrive(queue: Queue, rate: float, for_s: float, from_s: float = 0.0) -> list[float | None]:
    """Requests in even steps; what each of them waits."""
    return [queue.enter(from_s + number / rate) for number in range(round(rate * for_s))]


def test_a_machine_without_a_limit_makes_nobody_wait() -> None:
    queue = Queue()
    assert set(arrive(queue, 1000.0, 2.0)) == {0.0}
    assert queue.load(2.0) == 0.0


@given(rps=st.integers(5, 100), share=st.floats(0.1, 0.95))
def test_below_its_capacity_nobody_waits_and_it_never_breaks_down(rps: int, share: float) -> None:
    queue = Queue(rps)
    assert max(wait_s or 0.0 for wait_s in arrive(queue, rps * share, 20.0)) < 0.001
    assert queue.breakdowns == 0


def test_above_its_capacity_the_wait_grows_until_it_breaks_down() -> None:
    queue = Queue(20.0)
    waits = arrive(queue, 30.0, 10.0)
    served = waits[: waits.index(None)]
    assert served == sorted(served, key=lambda wait_s: wait_s or 0.0)
    # Half as much again as it can take: the wait grows by half a second a second.
    assert len(served) == pytest.approx(30 * MAX_WAIT_S / 0.5, abs=3)
    assert queue.breakdowns == 1


def test_a_machine_that_broke_down_serves_nobody_until_it_has_started_again() -> None:
    queue = Queue(20.0)
    arrive(queue, 400.0, 1.0)
    assert queue.breakdowns == 1
    assert queue.enter(RESTART_S / 2) is None
    assert queue.wait_s(RESTART_S / 2) is None
    assert queue.enter(1.0 + RESTART_S) == 0.0


def test_the_load_is_what_came_lately_as_a_share_of_what_can_be_served() -> None:
    queue = Queue(20.0)
    arrive(queue, 14.0, 10.0)
    assert queue.load(10.0) == pytest.approx(0.7, abs=0.03)
    assert queue.load(10.0 + LOAD_OVER_S) == 0.0


def test_what_is_turned_away_is_load_too() -> None:
    queue = Queue(20.0)
    arrive(queue, 100.0, 5.0)
    assert queue.load(5.0) == pytest.approx(5.0, abs=0.1)
