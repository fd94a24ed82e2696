"""Ramps and shares, by a manual clock and in an outlook that runs."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path

import pytest
from gslb.app.outlook import Outlook
from gslb.app.pace import Pace
from gslb.control.state import StateStore
from gslb.core.check import Check, Target
from gslb.core.health import AddressHealth, Health, Slot, State, all_unknown, with_addresses
from gslb.core.policy import Shed
from gslb.core.target import targets_of
from gslb.core.trail import Result
from gslb.core.world import Plan

from sample import POOLS, make_world

FRA_SLOT = Slot(0, 0, 4)
TARGET = Target("web", "192.0.2.10", 80)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def plan(**more: object) -> Plan:
    """The sample, with the first pool changed and checked."""
    pools = (replace(POOLS[0], check="web", **more), *POOLS[1:])  # type: ignore[arg-type]
    config = replace(
        make_world().plan.config, pools=pools, checks={"web": Check("web", "http", 80)}
    )
    return replace(make_world().plan, config=config, targets=targets_of(config))


def in_state(health: Health, state: State, slot: Slot = FRA_SLOT) -> Health:
    address = health.pools[slot.pool].of(slot.family)[slot.endpoint]
    return with_addresses(health, {slot: replace(address, state=state)})


def ramp_of(health: Health, slot: Slot = FRA_SLOT) -> int:
    return health.pools[slot.pool].of(slot.family)[slot.endpoint].ramp


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_recovered_address_begins_at_a_tenth_and_climbs_to_all(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(ramp_s=60.0))
    fresh = all_unknown(POOLS)
    down = pace.see(fresh, in_state(fresh, State.DOWN))
    assert pace.next_due() is None
    back = pace.see(down, in_state(down, State.UP))
    assert ramp_of(back) == 10
    assert ramp_of(back, Slot(0, 1, 4)) == 100
    clock.now += 30
    half = pace.step(back)
    assert ramp_of(half) == 55
    clock.now += 31
    whole = pace.step(half)
    assert ramp_of(whole) == 100
    assert pace.next_due() is None


def test_a_first_verdict_is_no_recovery(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(ramp_s=60.0))
    fresh = all_unknown(POOLS)
    assert ramp_of(pace.see(fresh, in_state(fresh, State.UP))) == 100


def test_a_reload_does_not_begin_a_ramp_again(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(ramp_s=60.0))
    fresh = all_unknown(POOLS)
    down = pace.see(fresh, in_state(fresh, State.DOWN))
    back = pace.see(down, in_state(down, State.UP))
    clock.now += 30
    pace.follow(plan(ramp_s=60.0))
    assert ramp_of(pace.step(in_state(all_unknown(POOLS), State.UP))) == 55
    assert ramp_of(back) == 10
    pace.follow(plan())
    assert ramp_of(pace.step(all_unknown(POOLS))) == 100


def test_what_an_operator_lets_in_again_climbs_too(clock: Clock) -> None:
    """Its caches are as cold; one that is forced up has all of its weight (core/health.py)."""
    pace = Pace(clock, {})
    pace.follow(plan(ramp_s=60.0))
    fresh = in_state(all_unknown(POOLS), State.UP)
    out = pace.see(fresh, with_addresses(fresh, {FRA_SLOT: AddressHealth(State.UP, "drain")}))
    assert pace.next_due() is None
    assert ramp_of(pace.see(out, in_state(fresh, State.UP))) == 10


def test_what_fails_while_it_climbs_begins_anew(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(ramp_s=60.0))
    down = in_state(all_unknown(POOLS), State.DOWN)
    half = pace.see(down, in_state(down, State.UP))
    clock.now += 30
    again = pace.see(half, in_state(half, State.DOWN))
    assert pace.next_due() is None
    clock.now += 30
    assert ramp_of(pace.see(again, in_state(again, State.UP))) == 10


def shares(pace: Pace, health: Health, clock: Clock, steps: int) -> list[int]:
    found = []
    for _ in range(steps):
        clock.now += 10
        health = pace.step(health)
        found.append(health.pools[0].share)
    return found


SHED = Shed(0.7, 0.9, 10.0)


def test_the_share_of_a_loaded_pool_falls_by_ten_points_an_interval(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(shed=SHED))
    health = all_unknown(POOLS)
    assert shares(pace, health, clock, 1) == [100]
    found = []
    for _ in range(6):
        pace.report("web-fra", 0.8)
        found += shares(pace, health, clock, 1)
    assert found == [90, 80, 70, 60, 50, 50]


def test_without_reports_the_share_stays_five_minutes_and_rises_then(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(shed=SHED))
    health = all_unknown(POOLS)
    for _ in range(3):
        pace.report("web-fra", 1.5)
        shares(pace, health, clock, 1)
    assert pace.share_of("web-fra") == 70
    assert set(shares(pace, health, clock, 29)) == {70}
    assert shares(pace, health, clock, 4) == [80, 90, 100, 100]


def test_a_share_that_rises_for_want_of_reports_says_so(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(shed=SHED))
    pace.report("web-fra", 1.5)
    shares(pace, all_unknown(POOLS), clock, 1)
    caplog.clear()
    with caplog.at_level(logging.INFO, "gslb"):
        assert shares(pace, all_unknown(POOLS), clock, 31)[-1] == 100
    (said,) = (record for record in caplog.records)
    assert "no report for 5 min: it has all again, the least was 90 %" in str(vars(said))


def test_what_sheds_says_once_how_far_it_goes_and_once_how_far_it_went(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(shed=SHED))
    with caplog.at_level(logging.INFO, "gslb"):
        for load in (0.8, 0.8, 0.8, 0.6, 0.6, 0.6, 0.72, 0.6):
            pace.report("web-fra", load)
            shares(pace, all_unknown(POOLS), clock, 1)
    said = [str(vars(record)) for record in caplog.records]
    words = ("100 %", "load 0.80: on its way to 50 % of its answers"), (
        "90 %", "load 0.60: it has all again, the least was 70 %"), (
        "100 %", "load 0.72: on its way to 90 % of its answers"), (
        "90 %", "load 0.60: it has all again, the least was 90 %")  # fmt: skip
    assert len(said) == len(words)
    for line, (before, why) in zip(said, words, strict=True):
        assert f"'from': '{before}'" in line
        assert why in line


def test_loads_that_probes_find_count_as_their_mean(clock: Clock) -> None:
    loads = {TARGET: (0.9, 1001.0), Target("web", "192.0.2.11", 80): (0.7, 1001.0)}
    pace = Pace(clock, loads)
    pace.follow(plan(shed=SHED))
    assert shares(pace, all_unknown(POOLS), clock, 1) == [90]
    assert pace.load_of("web-fra") == pytest.approx(0.8)


def test_a_pool_that_sheds_nothing_takes_no_load(clock: Clock) -> None:
    pace = Pace(clock, {})
    pace.follow(plan(shed=SHED))
    with pytest.raises(ValueError, match='pool "web-iad" has no "shed"'):
        pace.report("web-iad", 0.5)


def test_a_recovery_beside_others_leaves_their_steps_to_the_clock(clock: Clock) -> None:
    pace, other = Pace(clock, {}), Slot(0, 1, 4)
    pace.follow(plan(ramp_s=60.0))
    down = in_state(in_state(all_unknown(POOLS), State.DOWN), State.DOWN, other)
    first = pace.see(down, in_state(down, State.UP))
    due = pace.next_due()
    clock.now += 30
    second = pace.see(first, in_state(first, State.UP, other))
    assert (ramp_of(second), ramp_of(second, other)) == (10, 10)
    assert pace.next_due() == due
    stepped = pace.step(second)
    assert (ramp_of(stepped), ramp_of(stepped, other)) == (55, 10)
    assert pace.next_due() == pytest.approx(clock.now + 60 / 18)


def test_a_running_server_climbs_by_itself(tmp_path: Path) -> None:
    """What is published after a recovery: a tenth, then ever more, without any further verdict."""
    config = replace(plan(ramp_s=0.2).config, checks={"web": Check("web", "push", 0)})
    coming = replace(make_world().plan, config=config, targets=targets_of(config))
    target = Target("web", "192.0.2.10", 0)

    async def climb() -> list[int]:
        store, percents = StateStore(tmp_path), []
        fallen, whole = asyncio.Event(), asyncio.Event()

        def publish(health: Health) -> None:
            percents.append(ramp_of(health))
            if health.pools[0].ipv4[0].state is State.DOWN:
                fallen.set()
            elif fallen.is_set() and percents[-1] == 100:
                whole.set()

        outlook = Outlook(coming, store, publish, time.monotonic, time.time)
        await outlook.begin(await store.open())
        try:
            async with asyncio.timeout(20):
                outlook.monitor.report(target, Result(False, "slow", None, time.monotonic()))
                await fallen.wait()
                outlook.monitor.report(target, Result(True, "", None, time.monotonic()))
                await whole.wait()
        finally:
            await outlook.stop()
            await store.close()
        return percents

    percents = asyncio.run(climb())
    climbed = percents[percents.index(10) :]
    assert climbed == sorted(climbed)
