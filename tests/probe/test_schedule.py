"""Who is due when, by a clock that only the test moves."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from gslb.core.check import Target
from gslb.probe.schedule import Schedule, phase_of
from hypothesis import given
from hypothesis import strategies as st

ONE = Target("web", "192.0.2.1", 80)
TWO = Target("web", "192.0.2.2", 80)


def targets(count: int) -> list[Target]:
    return [Target("web", f"10.0.{i // 256}.{i % 256}", 80) for i in range(count)]


def steady() -> Schedule:
    """Without jitter."""
    return Schedule(lambda: 0.0)


def due_of(schedule: Schedule) -> float:
    due = schedule.next_due()
    assert due is not None
    return due


def beat(schedule: Schedule, lasting_s: float = 0.0) -> float:
    """Run whoever is next, on time; returns the start."""
    at = due_of(schedule)
    for target, _ in schedule.take(at, 1):
        schedule.renew(target, at + lasting_s)
    return at


def test_targets_spread_evenly_over_the_interval():
    schedule = steady()
    for target in targets(5000):
        schedule.add(target, 10.0, 0.0, now=100.0)
    taken = schedule.take(110.0, 10_000)
    assert len(taken) == 5000
    a_second = Counter(int(due) for _, due in taken)
    assert set(a_second) == set(range(100, 110))
    assert all(400 < count < 600 for count in a_second.values())


def test_a_target_keeps_its_phase_in_every_process():
    assert phase_of(ONE) == phase_of(Target("web", "192.0.2.1", 80))
    assert phase_of(ONE) == 0.5063020726665854


@given(st.floats(0.0, 1e6), st.floats(1.0, 3600.0), st.lists(st.floats(0, 0.9), max_size=20))
def test_starts_are_one_interval_apart_however_long_a_probe_lasts(now, interval_s, shares):
    schedule = steady()
    schedule.add(ONE, interval_s, 0.0, now)
    assert now <= due_of(schedule) <= now + interval_s * 1.001
    starts = [beat(schedule, share * interval_s) for share in shares]
    for earlier, later in pairwise(starts):
        assert abs(later - earlier - interval_s) < interval_s * 1e-3


def test_jitter_shifts_a_start_within_its_share_and_never_the_grid():
    draws = iter([0.0, 0.99, 0.5, 0.99, 0.0])
    schedule = Schedule(lambda: next(draws))
    schedule.add(ONE, 10.0, 0.1, now=0.0)
    grid = due_of(schedule)
    starts = [beat(schedule) for _ in range(5)]
    shifts = [round(at - grid - 10.0 * i, 3) for i, at in enumerate(starts)]
    assert shifts == [0.0, 0.0, 0.99, 0.5, 0.99]


def test_a_running_target_is_not_due_again_until_it_is_renewed():
    schedule = steady()
    schedule.add(ONE, 1.0, 0.0, now=0.0)
    assert [target for target, _ in schedule.take(1.0, 8)] == [ONE]
    assert schedule.next_due() is None
    assert schedule.take(100.0, 8) == []
    schedule.renew(ONE, 100.0)
    assert schedule.next_due() is not None


def test_a_probe_that_outlasts_the_next_point_is_followed_at_once_by_one_only():
    schedule = steady()
    schedule.add(ONE, 1.0, 0.0, now=0.0)
    (_, due), *_ = schedule.take(due_of(schedule), 1)
    schedule.renew(ONE, due + 5.5)
    assert due_of(schedule) == due + 5.5
    schedule.take(due + 5.5, 1)
    schedule.renew(ONE, due + 5.6)
    assert abs(due_of(schedule) - (due + 6.0)) < 1e-6


def test_an_overload_serves_the_oldest_first_and_starves_nobody():
    schedule = steady()
    for target in targets(100):
        schedule.add(target, 1.0, 0.0, now=0.0)
    served: Counter[Target] = Counter()
    now = 1.0
    for _ in range(100):  # ten a second for a hundred seconds: a tenth of what is needed
        taken = schedule.take(now, 10)
        assert [due for _, due in taken] == sorted(due for _, due in taken)
        for target, _ in taken:
            served[target] += 1
            schedule.renew(target, now)
        now += 1.0
    assert set(served) == set(targets(100))
    assert max(served.values()) - min(served.values()) <= 1


def test_take_gives_at_most_what_is_asked_for_and_only_what_is_due():
    schedule = steady()
    for target in targets(50):
        schedule.add(target, 10.0, 0.0, now=0.0)
    assert len(schedule.take(10.0, 8)) == 8
    rest = schedule.take(5.0, 100)
    assert all(due <= 5.0 for _, due in rest)


def test_a_hastened_target_is_due_now_and_skips_the_point_it_stands_for():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.0, now=0.0)
    grid = due_of(schedule)
    schedule.hasten(ONE, grid - 1.0)
    schedule.hasten(ONE, grid)
    assert beat(schedule) == grid - 1.0
    assert abs(due_of(schedule) - (grid + 10.0)) < 1e-6


def test_a_target_may_be_renewed_some_seconds_after_its_start():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.0, now=0.0)
    schedule.hasten(ONE, 0.0)
    schedule.take(0.0, 1)
    schedule.renew(ONE, 0.2, wait_s=1.0)
    assert due_of(schedule) == 1.0
    schedule.take(1.0, 1)
    schedule.renew(ONE, 3.5, wait_s=1.0)
    assert due_of(schedule) == 3.5


def test_a_reload_moves_nobody_whose_interval_is_the_same():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.1, now=0.0)
    before = due_of(schedule)
    schedule.add(ONE, 10.0, 0.1, now=before - 0.5)
    assert due_of(schedule) == before
    schedule.add(ONE, 2.0, 0.1, now=before - 8.5)
    assert due_of(schedule) <= before - 6.5


def test_a_new_interval_leaves_a_running_target_running():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.0, now=0.0)
    schedule.take(10.0, 1)
    schedule.add(ONE, 2.0, 0.0, now=10.0)
    assert schedule.next_due() is None
    schedule.renew(ONE, 10.1)
    assert 10.0 < due_of(schedule) <= 12.1


def test_a_removed_target_is_gone_waiting_or_running():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.0, now=0.0)
    schedule.add(TWO, 10.0, 0.0, now=0.0)
    ((running, _),) = schedule.take(10.0, 1)
    schedule.remove(ONE)
    schedule.remove(TWO)
    schedule.renew(running, 10.0)
    assert schedule.next_due() is None


def test_a_target_that_came_back_while_its_old_probe_ended_has_one_time():
    schedule = steady()
    schedule.add(ONE, 10.0, 0.0, now=0.0)
    schedule.take(10.0, 1)
    schedule.remove(ONE)
    schedule.add(ONE, 10.0, 0.0, now=10.0)
    due = due_of(schedule)
    schedule.renew(ONE, 10.1)
    assert schedule.take(due, 8) == [(ONE, due)]
    assert schedule.next_due() is None


def test_who_is_summoned_goes_before_what_is_late_and_the_last_one_first() -> None:
    schedule = Schedule(lambda: 0.0)
    targets = [Target("web", f"192.0.2.{n}", 80) for n in range(20)]
    for target in targets:
        schedule.add(target, 10.0, 0.0, now=100.0)
    first, second, gone, running = (target for target, _ in schedule.take(200.0, 20)[:4])
    for target in targets:
        if target is not running:
            schedule.renew(target, 200.0)
    for target in (first, second, gone, running):
        schedule.summon(target, 215.0)
    schedule.remove(gone)
    taken = [target for target, _ in schedule.take(215.0, 20)]
    assert taken[:2] == [second, first]
    assert sorted(taken) == sorted(set(targets) - {gone, running})


def test_who_is_dismissed_waits_for_its_turn_again() -> None:
    schedule = Schedule(lambda: 0.0)
    targets = [Target("web", f"192.0.2.{n}", 80) for n in range(20)]
    for target in targets:
        schedule.add(target, 10.0, 0.0, now=100.0)
    for target in reversed(targets):
        schedule.summon(target, 215.0)
    schedule.dismiss()
    dues = [due for _, due in schedule.take(215.0, 20)]
    assert len(dues) == 20
    assert dues == sorted(dues)


def test_asking_again_and_again_what_is_seldom_due_leaves_nothing_behind() -> None:
    schedule = Schedule(lambda: 0.0)
    target = Target("web", "192.0.2.1", 80)
    schedule.add(target, 86400.0, 0.0, now=0.0)
    for second in range(1000):
        schedule.summon(target, float(second))
        assert schedule.take(float(second), 1) == [(target, float(second))]
        schedule.renew(target, float(second))
    assert len(schedule._heap) < 100
