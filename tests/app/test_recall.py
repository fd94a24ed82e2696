"""What a restart, and a reload, go on from: reasons and changes, not states alone."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from gslb.control.state import StateStore
from gslb.core.check import Check, Member
from gslb.core.health import State
from gslb.core.trail import MOST_TURNS

from scene import TARGET, Scene, plan, play


def said(caplog: pytest.LogCaptureFixture) -> str:
    """All that was told, with its fields."""
    return " ".join(str(vars(record)) for record in caplog.records)


def test_changes_before_a_restart_count_as_flapping_after_it(tmp_path: Path) -> None:
    held = []

    async def flap(made: Scene) -> None:
        for number in range(MOST_TURNS // 2):
            made.clock.now += 1
            await made.report(ok=number % 2 == 1)
        held.append(made.outlook.monitor.snapshot()[TARGET].held)

    async def flap_on(made: Scene) -> None:
        for number in range(MOST_TURNS // 2, MOST_TURNS + 1):
            made.clock.now += 1
            await made.report(ok=number % 2 == 1)
        held.append(made.outlook.monitor.snapshot()[TARGET].held)

    play(tmp_path, flap)
    play(tmp_path, flap_on)
    assert held == [False, True]


def test_why_it_is_down_is_known_after_a_restart_and_told_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(made: Scene) -> None:
        await made.report(ok=False)

    play(tmp_path, fail)
    caplog.clear()
    caplog.set_level(logging.INFO)

    async def recover(made: Scene) -> None:
        trail = made.outlook.trail_of(TARGET)
        assert trail is not None
        assert trail.transition is not None
        assert (trail.state, trail.transition.reasons) == (State.DOWN, ("slow",))
        assert "transition" not in said(caplog)  # what was told before the restart is no news
        made.clock.now += 1
        await made.report(ok=True)
        assert "was: slow" in said(caplog)

    play(tmp_path, recover)


def test_what_becomes_of_a_counted_check_at_a_reload_is_told_and_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same name, address and port: a check that counted another, and then one that is told."""
    counted = {
        "web": Check("web", "calculated", 0, of=(Member("check", "other"),)),
        "other": Check("other", "push", 0),
    }
    told = {"web": Check("web", "push", 0)}

    async def scene(made: Scene) -> None:
        assert TARGET in made.plan.formulas
        coming = plan(told)
        await made.outlook.expect(coming)
        with caplog.at_level(logging.INFO):
            await made.report(ok=False)  # while the old plan still answers
        assert "slow" in said(caplog)
        made.outlook.take_over(coming, await made.outlook.survey(coming))
        assert made.state is State.DOWN

    play(tmp_path, scene, counted)

    async def remembered() -> State:
        store = StateStore(tmp_path)
        memory = await store.open()
        await store.close()
        (kept,) = (each for each in memory.health if each.target == TARGET)
        return kept.state

    assert asyncio.run(remembered()) is State.DOWN
