"""The start: every target without a verdict is asked before anybody answers by it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from gslb.core.health import State
from gslb.core.trail import TargetHealth, Trail
from gslb.probe.monitor import Monitor

from audience import NEVER_S, QUICK, RARE, Audience, at
from endpoint import Endpoints, page, saying, silence


async def test_settling_gives_a_verdict_on_everything_that_answers_or_refuses(
    endpoints: Endpoints, monitor: Monitor, audience: Audience, closed_port: int
) -> None:
    good = at(await endpoints.open(saying(page(200))))
    bad = at(await endpoints.open(saying(page(500))))
    dead = at(closed_port)
    await monitor.watch({"web": RARE}, [good, bad, dead])
    monitor.start()
    await monitor.settle(60.0)
    states = {target: health.state for target, health in monitor.health([good, bad, dead]).items()}
    assert states == {good: State.UP, bad: State.DOWN, dead: State.DOWN}
    assert monitor.probes == {("web", "ok"): 1, ("web", "failed"): 6}
    assert not any(monitor.lateness.counts)  # none of these was on the schedule
    assert {target for target, _ in audience.told} == {good, bad, dead}
    assert monitor.snapshot()[dead].evidence == ("connect refused",) * 3


async def test_settling_ends_at_its_limit_and_leaves_the_rest_unknown(
    endpoints: Endpoints, monitor: Monitor, audience: Audience
) -> None:
    good = at(await endpoints.open(saying(page(200))))
    mute = at(await endpoints.open(silence))
    await monitor.watch({"web": replace(RARE, timeout_s=NEVER_S)}, [good, mute])
    monitor.start()
    await monitor.settle(0.05)
    await audience.until(good, State.UP)
    assert monitor.health([mute])[mute] == TargetHealth(State.UNKNOWN, None, None)


async def test_settling_probes_only_what_has_no_verdict(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    known, new = [at(await endpoints.open(saying(page(200)))) for _ in range(2)]
    await monitor.watch({"web": RARE}, [known])
    monitor.start()
    await monitor.settle(60.0)
    await monitor.watch({"web": RARE}, [known, new])
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 2}
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 2}


async def test_settling_with_nothing_to_probe_returns_at_once(monitor: Monitor) -> None:
    await monitor.watch({}, [])
    monitor.start()
    await monitor.settle(NEVER_S)


async def test_targets_that_leave_while_settling_are_not_waited_for(
    endpoints: Endpoints, monitor: Monitor
) -> None:
    mute = at(await endpoints.open(silence))
    await monitor.watch({"web": replace(RARE, timeout_s=NEVER_S)}, [mute])
    monitor.start()
    settling = asyncio.create_task(monitor.settle(NEVER_S))
    await asyncio.sleep(0)
    await monitor.watch({"web": RARE}, [])
    await settling
    assert monitor.snapshot() == {}


async def test_what_is_remembered_needs_no_settling_and_goes_on_from_there(
    endpoints: Endpoints, monitor: Monitor, audience: Audience, closed_port: int
) -> None:
    good, new = [at(await endpoints.open(saying(page(200)))) for _ in range(2)]
    dead = at(closed_port)
    gone = at(1)
    monitor.remember(
        {
            good: Trail(-50.0, State.DOWN),
            dead: Trail(-60.0, State.UP),
            gone: Trail(-70.0, State.DOWN),
        }
    )
    await monitor.watch({"web": RARE}, [good, dead, new])
    monitor.start()
    await monitor.settle(60.0)
    assert monitor.probes == {("web", "ok"): 1}
    states = {target: trail.state for target, trail in monitor.snapshot().items()}
    assert states == {good: State.DOWN, dead: State.UP, new: State.UP}
    assert monitor.snapshot()[good].since == -50.0
    await monitor.watch({"web": QUICK}, [good, dead, gone])
    await audience.until(good, State.UP)
    await audience.until(dead, State.DOWN)
    assert monitor.verdict(gone) is not None
    assert monitor.snapshot()[gone].since > 0  # what was not watched at first is forgotten
    assert monitor.verdict(new) is None
