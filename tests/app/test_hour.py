"""What happens by time alone, and what must not be lost between two moments."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from gslb.app import outlook as outlook_module
from gslb.app import recall as recall_module
from gslb.app import server as server_module
from gslb.app.roster import Roster
from gslb.app.server import persist
from gslb.control.state import StateStore
from gslb.core.check import Check
from gslb.core.health import Health, State, all_unknown
from gslb.core.kept import Memory
from gslb.core.trail import MOST_TURNS, hold_s

from sample import POOLS
from scene import A_DAY_S, NOON, TARGET, Scene, play, turns, until


def test_a_drain_whose_end_comes_with_a_verdict_ends(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        await made.put(until=NOON + 600)
        assert made.forced == "drain"
        made.wall.now += 600
        await made.report(ok=True)  # before the timer that waits for the end
        assert made.forced == ""
        assert made.outlook.hand.overrides == ()

    play(tmp_path, scene)


def test_a_lead_that_is_over_as_a_verdict_comes_in_takes_effect(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        await made.put(effective_at=NOON + 600)
        assert made.forced == ""
        made.wall.now += 600
        await made.report(ok=True)
        assert made.forced == "drain"

    play(tmp_path, scene)


def test_a_clock_that_is_set_back_lets_nothing_drained_in(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        await made.put()
        made.wall.now -= A_DAY_S
        made.outlook.restore(Memory(made.outlook.hand.overrides))
        assert made.forced == "drain"

    play(tmp_path, scene)
    later = Scene(tmp_path)
    later.wall.now -= A_DAY_S  # a machine that starts with a clock that is behind

    async def start() -> None:
        await later.begin()
        assert later.published[0].pools[0].ipv4[0].forced == "drain"
        await later.end()

    asyncio.run(start())


def test_a_clock_that_is_set_back_ends_nothing_too_early(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        await made.put(until=NOON + 600)
        made.wall.now -= A_DAY_S
        await made.report(ok=False)
        assert made.forced == "drain"
        made.wall.now += A_DAY_S + 600
        await made.report(ok=True)
        assert made.forced == ""

    play(tmp_path, scene)


def test_a_pool_that_is_released_while_it_still_fails_comes_back_by_itself(
    tmp_path: Path,
) -> None:
    async def scene(made: Scene) -> None:
        await made.report(ok=False)
        assert made.forced == "drain"
        (held,) = made.outlook.hand.overrides
        assert held.who == "server"
        await made.outlook.clear(held, "ann", "mended", "")
        assert made.forced == ""
        made.wall.now += 1
        await made.report(ok=False)
        assert made.forced == ""
        await made.report(ok=True)
        assert made.forced == ""
        await made.report(ok=False)  # the next failure is another one
        assert made.forced == "drain"

    play(tmp_path, scene, manual_resume=True)


def test_a_pool_that_was_well_when_released_is_held_at_its_next_failure(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        await made.report(ok=False)
        await made.report(ok=True)
        (held,) = made.outlook.hand.overrides
        await made.put(kind="datacenter", name="fra")  # so that clearing changes nothing
        await made.outlook.clear(held, "ann", "mended", "")
        await made.report(ok=False)
        assert made.outlook.hand.find("pool", POOLS[0].name) is not None

    play(tmp_path, scene, manual_resume=True)


def test_a_defect_at_the_end_of_a_drain_does_not_keep_it_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outlook_module, "LONGEST_WAIT_S", 0.0)
    faults = [RuntimeError("a defect")]

    def publish(health: Health) -> None:
        if faults:
            raise faults.pop()

    async def scene(made: Scene) -> None:
        await made.put(until=NOON + 600)
        made.outlook._publish = publish  # what a server does with it
        made.wall.now += 600
        await turns()
        assert made.forced == ""
        assert made.outlook.hand.overrides == ()

    with caplog.at_level(logging.ERROR):
        play(tmp_path, scene)
    assert not faults
    assert "looked at again" in caplog.text


def test_a_successor_that_ends_an_override_leaves_what_is_kept_to_its_predecessor(
    tmp_path: Path,
) -> None:
    async def run() -> None:
        old, new = Scene(tmp_path), Scene(tmp_path)
        await old.begin()
        await old.put(until=NOON + 600)
        new.outlook.hand.is_heir = True
        await new.begin()
        await old.put(until=NOON + 9000)  # an operator makes it longer, by the old server
        new.wall.now += 600
        await new.report(ok=True)
        assert new.forced == ""
        await old.end()
        new.outlook.hand.await_memory()
        new.outlook.restore(await new.store.reread())
        assert new.forced == "drain"
        assert new.outlook.hand.overrides[0].until == NOON + 9000
        await new.end()

    asyncio.run(run())


def test_what_flaps_is_held_down_after_a_restart_too(tmp_path: Path) -> None:
    async def flap(made: Scene) -> None:
        for number in range(MOST_TURNS + 1):
            made.clock.now += 1
            await made.report(ok=number % 2 == 1)
        assert made.outlook.monitor.snapshot()[TARGET].held

    play(tmp_path, flap)
    states: list[tuple[State, bool]] = []

    async def recover(made: Scene) -> None:
        for _ in range(2):
            await made.report(ok=True)
            trail = made.outlook.monitor.snapshot()[TARGET]
            states.append((trail.state, trail.held))
            made.clock.now += hold_s(made.plan.config.checks["web"])

    play(tmp_path, recover)
    assert states == [(State.DOWN, True), (State.UP, False)]
    states.clear()
    play(tmp_path, recover)  # and what was let in again is held no longer
    assert states[0] == (State.UP, False)


@pytest.mark.parametrize(("age_s", "state"), [(599.0, State.DOWN), (601.0, State.UNKNOWN)])
def test_what_was_last_known_too_long_ago_is_unknown_again(
    tmp_path: Path, age_s: float, state: State
) -> None:
    play(tmp_path, lambda made: made.report(ok=False))
    later = Scene(tmp_path)
    later.wall.now += age_s

    async def start() -> None:
        await later.begin()
        assert later.state is state
        await later.end()

    asyncio.run(start())
    known = asyncio.run(remembered(tmp_path)).health
    assert [each.state for each in known] == ([State.DOWN] if state is State.DOWN else [])


def test_a_report_is_as_old_after_a_restart_as_it_was_before(tmp_path: Path) -> None:
    ttl_s = 0.05
    checks = {"web": Check("web", "push", 0, ttl_s=ttl_s)}
    scenes: list[Scene] = []

    async def report(made: Scene) -> None:
        await made.report(ok=True)
        made.clock.now += ttl_s * 0.6

    async def wait(made: Scene) -> None:
        assert made.state is State.UP
        made.clock.now += ttl_s * 0.3

    async def expire(made: Scene) -> None:
        scenes.append(made)
        assert made.state is State.UP  # no ttl is over yet, whoever ran
        made.clock.now += ttl_s * 0.3
        await until(lambda: made.state is State.DOWN)  # the timer is the loop's

    play(tmp_path, report, checks)
    play(tmp_path, wait, checks)
    play(tmp_path, expire, checks)
    trail = scenes[0].outlook.monitor.snapshot()[TARGET]
    assert trail.evidence == ("no report for 0 s",)


async def remembered(folder: Path) -> Memory:
    store = StateStore(folder)
    memory = await store.open()
    await store.close()
    return memory


def test_for_how_long_nobody_reported_is_kept_while_it_runs_and_when_it_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recall_module, "LOOK_S", 0.01)

    async def scene(made: Scene) -> None:
        await made.report(ok=True)
        made.clock.now += 7.0

        async def is_kept() -> bool:  # as a server that is killed now leaves it
            return [each.silent_s for each in (await remembered(tmp_path)).health] == [7.0]

        await until(is_kept)
        made.clock.now += 2.0

    play(tmp_path, scene)
    assert [each.silent_s for each in asyncio.run(remembered(tmp_path)).health] == [9.0]
    play(tmp_path, lambda made: made.report(ok=False))
    assert [each.silent_s for each in asyncio.run(remembered(tmp_path)).health] == [None]


def test_a_reload_between_two_targets_of_the_health_is_no_error(tmp_path: Path) -> None:
    async def scene(made: Scene) -> None:
        roster = Roster(made.plan, made.outlook, 0.0, NOON)
        made.outlook.health = all_unknown(())  # all pools are gone
        body = roster.body(TARGET)
        assert body is not None
        assert [each.pool for each in body.endpoints] == [POOLS[0].name]

    play(tmp_path, scene)


def test_a_job_of_the_background_that_meets_a_defect_goes_on_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server_module, "AGAIN_S", 0.0)
    faults = [RuntimeError("a defect")]

    async def watch_maps() -> None:
        if faults:
            raise faults.pop()

    with caplog.at_level(logging.ERROR):
        asyncio.run(persist(watch_maps))
    assert "watch_maps broke off" in caplog.text
    assert "a defect" in caplog.text
