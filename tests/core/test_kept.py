"""What is kept of a trail, and what goes on from it."""

from __future__ import annotations

from dataclasses import replace

from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.kept import keep, recall
from gslb.core.trail import Result, Trail, observe
from hypothesis import given
from hypothesis import strategies as st

TARGET = Target("web", "192.0.2.10", 80)
CHECK = Check("web", "http", 80, fall=2, rise=1)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 10_000), st.integers(0, 900))
def test_a_trail_goes_on_where_it_was_by_another_clock(
    results: list[bool], begins: int, away_s: int
) -> None:
    trail = Trail(100.0)
    for number, ok in enumerate(results):
        trail = observe(trail, Result(ok, "" if ok else "slow", None, 100.0 + number), CHECK)
    stopped, wall = 100.0 + len(results), 1_800_000_000.0
    found = recall(keep(TARGET, trail, stopped, wall), float(begins), wall + away_s)
    shift = begins - away_s - stopped
    assert (found.state, found.held) == (trail.state, trail.held)
    assert found.since == trail.since + shift
    assert found.turns == tuple(turn + shift for turn in trail.turns)
    if trail.transition is not None and trail.turns:
        assert found.transition is not None
        assert found.transition.before is trail.transition.before
        assert found.transition.reasons == found.evidence == trail.transition.reasons
    assert (found.failures, found.successes) == (0, 0)


def test_nothing_is_of_the_time_to_come_when_the_clock_was_set_back() -> None:
    trail = Trail(100.0, State.DOWN, turns=(90.0, 100.0))
    found = recall(keep(TARGET, trail, 110.0, 1_800_000_000.0), 5.0, 1_799_990_000.0)
    assert (found.since, found.turns) == (5.0, (5.0, 5.0))


def test_what_an_earlier_version_kept_has_no_transition() -> None:
    bare = replace(keep(TARGET, Trail(0.0, State.DOWN), 1.0, 10.0), turns=(), reasons=())
    assert recall(bare, 1.0, 10.0) == Trail(0.0, State.DOWN)
