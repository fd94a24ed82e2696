"""The state machine of a target (health.md, The state machine)."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, takewhile

import pytest
from gslb.core.check import Check
from gslb.core.health import State
from gslb.core.trail import (
    Result,
    TargetHealth,
    Trail,
    at_rest,
    health_of,
    hold_s,
    in_motion,
    observe,
    probes_left,
    would_fall,
)
from hypothesis import given
from hypothesis import strategies as st

thresholds = st.integers(1, 6)
histories = st.lists(st.booleans(), max_size=60)
# Seconds since the one before, and whether it succeeded: often enough a flapping one.
timed = st.lists(
    st.tuples(st.sampled_from([1.0, 2.0, 5.0, 90.0]), st.booleans()), min_size=20, max_size=200
)
# Slow enough that no flapping is found in a history of successes and failures alone.
CALM = Check("web", "tcp", 80, interval_s=600.0)


def probe(ok: bool, at: float) -> Result:
    return Result(ok, "" if ok else f"reason {at:g}", 0.010 if ok else None, at)


def follow(
    oks: list[bool], fall: int = 3, rise: int = 2, trail: Trail | None = None, begin: int = 0
) -> Trail:
    """A probe every ten minutes, so that nothing flaps."""
    trail = trail or Trail(since=-1.0)
    check = replace(CALM, fall=fall, rise=rise)
    for number, ok in enumerate(oks, begin):
        result = replace(probe(ok, number), at=number * CALM.interval_s)
        trail = observe(trail, result, check)
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


def damped(history: list[tuple[float, bool]], check: Check) -> list[tuple[State, bool]]:
    """The same sentences with flap damping, over the whole history: each state, and if held."""
    said: list[tuple[State, bool]] = []
    state, held, turned = State.UNKNOWN, False, list[float]()
    for end in range(1, len(history) + 1):
        past = history[:end]
        now = past[-1][0]
        good = list(takewhile(lambda each: each[1], reversed(past)))
        bad = list(takewhile(lambda each: not each[1], reversed(past)))
        wanted = state
        if state is State.UNKNOWN and good:
            wanted = State.UP
        elif state is not State.DOWN and len(bad) >= check.fall:
            wanted = State.DOWN
        elif state is State.DOWN and len(good) >= check.rise:
            wanted = State.UP
        if held:
            was_good_for = now - good[-1][0] if good else -1.0
            if wanted is State.UP and was_good_for >= check.interval_s * check.rise * 4:
                state, held = State.UP, False
                turned.append(now)
        elif wanted is not state:
            if len([at for at in turned if now - at < 600]) + 1 > 6:
                held = True
                if wanted is State.DOWN:
                    state = State.DOWN
                    turned.append(now)
            else:
                state = wanted
                turned.append(now)
        said.append((state, held))
    return said


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


@given(timed, thresholds, thresholds)
def test_damping_is_what_the_design_says_of_every_history(steps, fall, rise):
    check = Check("web", "tcp", 80, interval_s=1.0, fall=fall, rise=rise)
    times = accumulate(step for step, _ in steps)
    history = [(at, ok) for at, (_, ok) in zip(times, steps, strict=True)]
    trail, said = Trail(since=0.0), []
    for at, ok in history:
        trail = observe(trail, probe(ok, at), check)
        said.append((trail.state, trail.held))
        assert trail.state is State.DOWN or not trail.held
        assert len(trail.turns) <= 7
        assert not (trail.failures and trail.successes)
    assert said == damped(history, check)


@given(histories, thresholds, thresholds)
def test_probes_left_is_how_many_more_of_the_same_it_takes(oks, fall, rise):
    trail = follow(oks, fall, rise)
    left = probes_left(trail, replace(CALM, fall=fall, rise=rise))
    failing = trail.failures > 0 and trail.state is not State.DOWN
    recovering = trail.successes > 0 and trail.state is State.DOWN
    assert (left is not None) == (failing or recovering) == in_motion(trail)
    if left is not None:
        more = [oks[-1]] * left
        assert follow(more[:-1], fall, rise, trail, len(oks)).state is trail.state
        after = follow(more, fall, rise, trail, len(oks)).state
        assert after is (State.UP if trail.state is State.DOWN else State.DOWN)


@given(histories, thresholds, thresholds, thresholds, thresholds)
def test_probes_left_is_at_least_one_after_a_reload_lowered_the_thresholds(oks, f1, r1, f2, r2):
    left = probes_left(follow(oks, f1, r1), replace(CALM, fall=f2, rise=r2))
    assert left is None or left >= 1


@given(histories, thresholds, thresholds)
def test_a_failure_that_takes_it_down_is_announced(oks, fall, rise):
    trail = follow(oks, fall, rise)
    after = follow([False], fall, rise, trail, len(oks))
    falls = trail.state is not State.DOWN and after.state is State.DOWN
    assert would_fall(trail, replace(CALM, fall=fall, rise=rise)) == falls


@given(histories, thresholds, thresholds)
def test_since_and_transition_tell_of_the_latest_change(oks, fall, rise):
    before = Trail(since=-1.0)
    for number, ok in enumerate(oks):
        trail = follow([ok], fall, rise, before, number)
        if trail.state is before.state:
            assert (trail.since, trail.transition) == (before.since, before.transition)
        else:
            assert trail.transition is not None
            assert (trail.transition.before, trail.transition.after) == (before.state, trail.state)
            assert trail.since == trail.transition.at == number * 600.0
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


# ---- latency ----------------------------------------------------------------------------


def test_latency_is_a_moving_average_of_successes_only():
    trail = Trail(since=0.0)
    assert trail.latency_s is None
    for latency_s in (0.100, None, 0.200):
        trail = observe(trail, Result(latency_s is not None, "", latency_s, 0.0), CALM)
    assert trail.latency_s == pytest.approx(0.3 * 0.200 + 0.7 * 0.100)


def test_the_summary_covers_the_last_hundred_latencies():
    trail = Trail(since=0.0)
    assert trail.summary() is None
    for ms in range(1, 151):
        trail = observe(trail, Result(True, "", ms / 1000, 0.0), CALM)
    summary = trail.summary()
    assert summary is not None
    assert summary.minimum_s == pytest.approx(0.051)
    assert summary.mean_s == pytest.approx(0.1005)
    assert summary.p95_s == pytest.approx(0.145)
    assert len(trail.recent) == 400


# ---- flip -------------------------------------------------------------------------------


def test_flip_is_the_interval_times_the_probes_left():
    check = Check("web", "tcp", 80, interval_s=5.0, fall=3, rise=2)
    up = observe(Trail(since=0.0), probe(True, 0.0), check)
    assert health_of(up, check) == TargetHealth(State.UP, None, 0.010)
    assert health_of(observe(up, probe(False, 5.0), check), check).flip_s == 10.0
    down = Trail(since=0.0, state=State.DOWN)
    assert health_of(down, check).flip_s is None
    assert health_of(observe(down, probe(True, 5.0), check), check).flip_s == 5.0


def test_a_rapid_failure_flips_by_seconds_and_a_recovery_by_intervals():
    check = Check("web", "tcp", 80, interval_s=5.0, fall=3, rise=2, rapid=True)
    failing = observe(Trail(0.0, State.UP), probe(False, 5.0), check)
    assert health_of(failing, check).flip_s == 2.0
    quicker = replace(check, interval_s=0.5)
    assert health_of(failing, quicker).flip_s == 1.0
    recovering = observe(Trail(0.0, State.DOWN), probe(True, 5.0), check)
    assert health_of(recovering, check).flip_s == 5.0


# ---- damping ----------------------------------------------------------------------------

FLAPPY = Check("web", "tcp", 80, interval_s=5.0, fall=1, rise=2)


def flapping(first: bool) -> Trail:
    """Six transitions, a second apart; the first is to up or to down."""
    trail = Trail(since=0.0)
    at = 0.0
    state = first
    for _ in range(6):
        for _ in range(2 if state else 1):
            at += 1.0
            trail = observe(trail, probe(state, at), FLAPPY)
        state = not state
    assert len(trail.turns) == 6
    assert not trail.held
    return trail


def test_the_seventh_transition_in_ten_minutes_is_held_where_it_is_down():
    trail = flapping(first=False)
    assert trail.state is State.UP
    held = observe(trail, probe(False, 20.0), FLAPPY)
    assert (held.state, held.held) == (State.DOWN, True)
    assert held.transition is not None
    assert held.transition.reasons == (
        "reason 20",
        "more than 6 transitions in 10 min: held down until it was good for 40 s",
    )


def test_the_seventh_transition_to_up_does_not_take_place_and_says_so():
    trail = flapping(first=True)
    assert trail.state is State.DOWN
    since = trail.since
    for at in (20.0, 25.0):
        trail = observe(trail, probe(True, at), FLAPPY)
    assert (trail.state, trail.held, trail.since) == (State.DOWN, True, since)
    assert trail.transition is not None
    assert (trail.transition.at, trail.transition.after) == (25.0, State.DOWN)
    assert "held down until it was good for 40 s" in trail.transition.reasons[-1]


def test_what_is_held_comes_back_when_it_was_good_long_enough_and_a_failure_begins_anew():
    trail = observe(flapping(first=False), probe(False, 20.0), FLAPPY)
    for at in range(25, 65, 5):
        trail = observe(trail, probe(True, at), FLAPPY)
        assert health_of(trail, FLAPPY).flip_s == 65.0 - at
    trail = observe(trail, probe(False, 65.0), FLAPPY)
    assert health_of(trail, FLAPPY).flip_s is None
    for at in range(70, 110, 5):
        trail = observe(trail, probe(True, at), FLAPPY)
        assert trail.state is State.DOWN
    assert hold_s(FLAPPY) == 40.0
    trail = observe(trail, probe(True, 110.0), FLAPPY)
    assert (trail.state, trail.held) == (State.UP, False)


def test_what_fell_again_after_being_held_is_held_again_within_the_ten_minutes_only():
    trail = observe(flapping(first=False), probe(False, 20.0), FLAPPY)
    for at in range(25, 70, 5):
        trail = observe(trail, probe(True, at), FLAPPY)
    assert trail.state is State.UP
    assert observe(trail, probe(False, 100.0), FLAPPY).held
    assert not observe(trail, probe(False, 900.0), FLAPPY).held


def test_transitions_that_are_far_apart_are_no_flapping():
    trail = follow([True, False] * 50, fall=1, rise=1)
    assert not trail.held
    assert len(trail.turns) == 1


# ---- reports, memory, blindness -----------------------------------------------------------


def test_a_report_is_believed_at_once():
    check = Check("batch", "push", 0, fall=3, rise=2)
    down = observe(Trail(0.0, State.UP), probe(False, 1.0), check)
    assert down.state is State.DOWN
    assert observe(down, probe(True, 2.0), check).state is State.UP


def test_a_remembered_state_goes_on_as_if_it_had_been_observed():
    check = replace(CALM, fall=3, rise=2)
    trail = Trail(since=-50.0, state=State.DOWN)
    assert health_of(trail, check) == TargetHealth(State.DOWN, None, None)
    once = observe(trail, probe(True, 1.0), check)
    assert (once.state, once.since) == (State.DOWN, -50.0)
    assert observe(once, probe(True, 2.0), check).state is State.UP


@given(histories, thresholds, thresholds)
def test_at_rest_nothing_is_left_of_the_run_and_all_of_the_rest(oks, fall, rise):
    trail = follow(oks, fall, rise)
    rested = at_rest(trail)
    assert not in_motion(rested)
    assert (rested.state, rested.since, rested.recent) == (trail.state, trail.since, trail.recent)
    if rested.state is State.UP:
        assert follow([False] * (fall - 1), fall, rise, rested, len(oks)).state is State.UP
