"""The drill "flapping": a region breaks and heals every few seconds, and is held down.

Knows: how often the server may change its mind before it waits (health.md, Flap damping). Refuses
to know: how it counts. Invariant: the region is judged by each of its addresses, which are probed
apart from each other.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    VERDICT_MAX_S,
    act_quiet,
    await_peace,
    find_homes,
    follow,
    foresee,
    limits_of,
    look,
    open_diary,
)
from gslb.lab.diary import (
    expect_answers,
    expect_none,
    expect_none_once_moved,
    expect_passage,
    expect_places,
    wait_for,
    wait_until,
)
from gslb.lab.house import House
from gslb.lab.metric import count_verdicts
from gslb.lab.report import Report
from gslb.lab.stage import Plot, Stage
from gslb.lab.switchboard import Switchboard
from gslb.lab.world import LabError, Region

MOST: Final = 6  # transitions in ten minutes; the next one is held
ROUNDS_MAX: Final = 6
UP_MAX_S: Final = 6.0  # `rise` successes, and a busy machine; shorter than it would be held
BREAK_S: Final = 2.0
HEAL_S: Final = 3.5  # time for `rise` successes, which would bring it back if it were not held
SHAKES: Final = 3
HELD_S: Final = 8.0  # interval × rise × 4, by the check in gslb.yaml


async def drill_flapping(house: House, report: Report) -> None:
    """Runs the drill, about a minute, and fills the report."""
    async with house.open(Plot()) as stage:
        region = stage.world.regions[0]
        await await_peace(stage, report)
        await act_quiet(stage, report, "steady", QUIET_S)
        await act_flapping(stage, report, region)
        await act_held(stage, report, region)
        await act_released(stage, report, region)


async def act_flapping(stage: Stage, report: Report, region: Region) -> None:
    """Each time it is believed, until it is not: then it is down and held."""
    diary = open_diary(stage, find_homes(stage))
    began_s = report.clock()
    breaks = 0
    while breaks < ROUNDS_MAX and not await _is_held(stage, region):
        await stage.order(region, "break")
        breaks += 1
        report.mark(f"{region.name} breaks, time {breaks}")
        if not await wait_for(lambda: _is_all(stage, region, "down"), VERDICT_MAX_S):
            raise LabError(f"{region.name} broke, and is not down after {VERDICT_MAX_S:.0f} s")
        await stage.order(region, "heal")
        report.mark(f"{region.name} heals")
        await wait_for(lambda: _is_decided(stage, region), UP_MAX_S)
    held = await _is_held(stage, region)
    if held:
        report.mark(f"the server holds {region.name} down")
    count = await _count_changes(stage, region)
    report.expect(
        f"flapping: after more than {MOST} transitions it is held down",
        held and MOST - 2 <= count <= MOST + 1,  # the first verdict of a start may count too
        f"{count:g} for each address in {report.clock() - began_s:.0f} s, {breaks} breaks",
    )
    expect_answers(report, "flapping", diary)


async def act_held(stage: Stage, report: Report, region: Region) -> None:
    """It goes on flapping; its clients are elsewhere, and stay there."""
    act, diary = "held", open_diary(stage, find_homes(stage, without=(region,)))
    before = await _count_changes(stage, region)
    for shake in range(SHAKES):
        await stage.order(region, "break")
        await asyncio.sleep(BREAK_S)
        await stage.order(region, "heal")
        await asyncio.sleep(HEAL_S)
        report.mark(f"{region.name} has broken and healed once more, {shake + 1} of {SHAKES}")
    await stage.order(region, "break")
    await asyncio.sleep(BREAK_S)
    await wait_until(lambda: diary.complete, limits_of(stage).caches_s)
    count = await _count_changes(stage, region) - before
    report.expect(f"{act}: no verdict comes of it", count == 0, f"{count:g}")
    expect_places(report, f"{act}: its clients are moved once, and stay", diary)
    expect_none_once_moved(report, act, diary)


async def act_released(stage: Stage, report: Report, region: Region) -> None:
    """It is healed for good: after a longer look than usual its clients come home."""
    act, diary = "released", open_diary(stage, find_homes(stage))
    limits = limits_of(stage, HELD_S + VERDICT_MAX_S)
    change = await foresee(stage, region, "up", diary, limits)
    await stage.order(region, "heal")
    began_s = report.mark(f"{region.name} heals, for good")
    seen = await follow(stage, report, change)
    await asyncio.sleep(QUIET_S)
    first_s = min(seen.verdicts_s, default=began_s) - began_s
    report.expect(
        f"{act}: it was good for {HELD_S:.0f} s first", first_s >= HELD_S - 1.5, f"{first_s:.2f} s"
    )
    expect_passage(report, act, began_s, seen, diary, limits)
    expect_none(report, f"{act}: no request is lost", diary.lost)
    report.expect(f"{act}: it is held no longer", not await _is_held(stage, region))


async def _read_states(stage: Stage, region: Region, key: str) -> list[object]:
    """What /v1/health says under a key of each of a region's addresses."""
    targets = await Switchboard(stage).read_targets()
    return [one.get(key) for one in targets if one.get("port") == region.port]


async def _is_held(stage: Stage, region: Region) -> bool:
    held = await _read_states(stage, region, "held")
    return bool(held) and all(held)


async def _is_all(stage: Stage, region: Region, wanted: str) -> bool:
    states = await _read_states(stage, region, "state")
    return bool(states) and all(state == wanted for state in states)


async def _is_decided(stage: Stage, region: Region) -> bool:
    """It is believed, or it is held: what was healed a moment ago must not be so for long."""
    return await _is_all(stage, region, "up") or await _is_held(stage, region)


async def _count_changes(stage: Stage, region: Region) -> float:
    """How often the server has changed its mind about the region, for each of its addresses."""
    samples = await look(stage)
    # The first "up" of a start is a transition too, from unknown: it is no flapping.
    ups = count_verdicts(samples, region.name, "up") - stage.families
    return (ups + count_verdicts(samples, region.name, "down")) / stage.families
