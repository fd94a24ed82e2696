"""The state machine of a target (health.md, The state machine)."""

from __future__ import annotations

import pytest
from gslb.core.check import Check
from gslb.core.health import State
from gslb.core.trail import Result, TargetHealth, Trail, health_of, observe, probes_left
from hypothesis import given
from hypothesis import strategies as st

GOOD = Result(True, "", 0.010, 1.0)
BAD = Result(False, "connect refused", None, 1.0)
thresholds = st.integers(1, 6)
histories = st.lists(st.booleans(), max_size=60)


def follow(oks: list[bool], fall: int = 3, rise: int = 2, trail: Trail | None = None) -> Trail:
    trail = trail or Trail(since=0.0)
    for at, ok in enumerate(oks):
        result = Result(ok, "" if ok else f"reason {at}", 0.010 if ok else None, float(at))
        trail = observe(trail, result, fall, rise)
    return trail


def reference(oks: list[bool], fall: int, rise: int) -> State:
    """The design's sentences, word for word, over the whole history."""
    state = State.UNKNOWN
    for end in range(1, len(oks) + 1):
        past = oks[:end]
        failed = len(past) >= fall and not any(past[-fall:])
        rose = len(past) >= rise and all(past[-rise:])
        if state is State.UNKNOWN and past[-1]:
            state = State.UP
        elif state is not State.DOWN and failed:
            state = State.DOWN
        elif state is State.DOWN and rose:
            state = State.UP
    return state


def test_the_first_success_makes_an_unknown_target_up():
    assert follow([True]).state is State.UP
    assert follow([False, False, True]).state is State.UP


def test_one_bad_probe_does_not_take_an_endpoint_down():
    assert follow([False]).state is State.UNKNOWN
    assert follow([True, False]).state is State.UP


def test_fall_failures_in_a_row_take_it_down_and_a_success_between_begins_anew():
    assert follow([False, False, False]).state is State.DOWN
    assert follow([True, False, False, True, False, False]).state is State.UP
    assert follow([True, False, False, True, False, False, False]).state is State.DOWN


def test_rise_successes_in_a_row_bring_it_back_and_a_failure_between_begins_anew():
    down = [False, False, False]
    assert follow([*down, True]).state is State.DOWN
    assert follow([*down, True, False, True]).state is State.DOWN
    assert follow([*down, True, True]).state is State.UP


@given(histories, thresholds, thresholds)
def test_the_state_is_what_the_design_says_of_every_history(oks, fall, rise):
    assert follow(oks, fall, rise).state is reference(oks, fall, rise)


@given(histories, thresholds, thresholds)
def test_probes_left_is_how_many_more_of_the_same_it_takes(oks, fall, rise):
    trail = follow(oks, fall, rise)
    left = probes_left(trail, fall, rise)
    failing = trail.failures > 0 and trail.state is not State.DOWN
    recovering = trail.successes > 0 and trail.state is State.DOWN
    assert (left is not None) == (failing or recovering)
    if left is not None:
        more = [oks[-1]] * left
        assert follow(more[:-1], fall, rise, trail).state is trail.state
        after = follow(more, fall, rise, trail).state
        assert after is (State.UP if trail.state is State.DOWN else State.DOWN)


@given(histories, thresholds, thresholds, thresholds, thresholds)
def test_probes_left_is_at_least_one_after_a_reload_lowered_the_thresholds(oks, f1, r1, f2, r2):
    left = probes_left(follow(oks, f1, r1), f2, r2)
    assert left is None or left >= 1


@given(histories, thresholds, thresholds)
def test_since_and_transition_tell_of_the_latest_change(oks, fall, rise):
    before = Trail(since=-1.0)
    for at, ok in enumerate(oks):
        trail = follow([ok], fall, rise, before)
        if trail.state is before.state:
            assert (trail.since, trail.transition) == (before.since, before.transition)
        else:
            assert trail.transition is not None
            assert (trail.transition.before, trail.transition.after) == (
                before.state,
                trail.state,
            )
            assert trail.since == trail.transition.at == 0.0, at
        before = trail


def test_the_evidence_of_a_fall_is_the_failures_of_its_run():
    trail = follow([True, False, True, False, False, False])
    assert trail.evidence == ("reason 3", "reason 4", "reason 5")
    assert trail.transition is not None
    assert trail.transition.reasons == trail.evidence


def test_a_recovery_tells_what_it_recovered_from():
    trail = follow([False, False, False, True, True])
    assert trail.transition is not None
    assert trail.transition.after is State.UP
    assert trail.transition.reasons == ("reason 0", "reason 1", "reason 2")


def test_evidence_does_not_grow_without_bound():
    trail = follow([False] * 500)
    assert trail.failures == 500
    assert trail.evidence == tuple(f"reason {at}" for at in range(490, 500))


def test_latency_is_a_moving_average_of_successes_only():
    trail = Trail(since=0.0)
    assert trail.latency_s is None
    for latency_s in (0.100, None, 0.200):
        trail = observe(trail, Result(latency_s is not None, "", latency_s, 0.0), 3, 2)
    assert trail.latency_s == pytest.approx(0.3 * 0.200 + 0.7 * 0.100)


def test_the_summary_covers_the_last_hundred_latencies():
    trail = Trail(since=0.0)
    assert trail.summary() is None
    for ms in range(1, 151):
        trail = observe(trail, Result(True, "", ms / 1000, 0.0), 3, 2)
    summary = trail.summary()
    assert summary is not None
    assert summary.minimum_s == pytest.approx(0.051)
    assert summary.mean_s == pytest.approx(0.1005)
    assert summary.p95_s == pytest.approx(0.145)
    assert len(trail.recent) == 400


def test_flip_is_the_interval_times_the_probes_left():
    check = Check("web", "tcp", 80, interval_s=5.0, fall=3, rise=2)
    up = follow([True])
    assert health_of(up, check) == TargetHealth(State.UP, None, 0.010)
    assert health_of(observe(up, BAD, 3, 2), check).flip_s == 10.0
    down = follow([False, False, False])
    assert health_of(down, check).flip_s is None
    assert health_of(observe(down, GOOD, 3, 2), check).flip_s == 5.0
