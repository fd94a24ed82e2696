"""The drill "failover": a region dies, its clients go to the next nearest, and come home.

Knows: the acts, steady, killed, recovered, drained, resumed, and what each must look like from
outside. Refuses to know: how the server does it. Invariant: what an operator plans costs nobody
a request; only what nobody planned does.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    SLACK_S,
    act_quiet,
    expect_only,
    find_clients,
    find_homes,
    follow,
    foresee,
    limits_of,
    look,
    open_diary,
    wait_for_answer,
)
from gslb.lab.diary import (
    Diary,
    expect_none,
    expect_passage,
    expect_places,
    wait_for,
    wait_until,
)
from gslb.lab.house import House
from gslb.lab.metric import count_failed_probes
from gslb.lab.report import Passage, Report
from gslb.lab.stage import Plot, Stage
from gslb.lab.switchboard import Switchboard
from gslb.lab.world import TTL_S, Region

STEADY_S: Final = TTL_S + 2.0  # every cache has asked anew at least once
LEAD_S: Final = 6.0
SHORT_TTL_S: Final = 5  # `ttl_min` of a name whose TTL is TTL_S (steering.md, TTL)
WHY: Final = "the lab's drill"


async def drill_failover(house: House, report: Report) -> None:
    """Runs the drill, about a minute, and fills the report."""
    async with house.open(Plot()) as stage:
        region = stage.world.regions[0]
        report.mark(f"steady: {len(stage.cities)} clients, every cache asks anew within {TTL_S} s")
        await act_quiet(stage, report, "steady", STEADY_S)
        await act_killed(stage, report, region)
        await act_recovered(stage, report, region)
        await act_drained(stage, report, region)
        await act_resumed(stage, report, region)


async def act_killed(stage: Stage, report: Report, region: Region) -> None:
    """The region's process is killed; its clients go to the next nearest region."""
    movers, limits = find_clients(stage, region), limits_of(stage)
    diary = open_diary(stage, find_homes(stage, without=(region,)))
    change = await foresee(stage, region, "down", diary, limits)
    failed_before = count_failed_probes(await look(stage))
    pid = stage.regions[region.name].pid
    await stage.regions[region.name].kill()
    began_s = report.mark(f"region {region.name} is killed (kill -9 {pid})")

    async def probe_failed() -> bool:
        return count_failed_probes(await look(stage)) > failed_before

    async def mark_failed_probe() -> None:
        if await wait_for(probe_failed, limits.verdict_s):
            report.mark("a probe has failed")

    _, seen = await asyncio.gather(
        mark_failed_probe(),
        follow(stage, report, change),
    )
    await asyncio.sleep(QUIET_S)
    report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_passage(report, "failover", began_s, seen, diary, limits)
    expect_only(report, "failover", diary, movers)


async def act_recovered(stage: Stage, report: Report, region: Region) -> None:
    """The region is started again; its clients come home and nothing is lost."""
    limits, diary = limits_of(stage), open_diary(stage, find_homes(stage))
    change = await foresee(stage, region, "up", diary, limits)
    await stage.start_region(region)
    began_s = report.mark(f"region {region.name} is started again")
    seen = await follow(stage, report, change)
    await asyncio.sleep(QUIET_S)
    expect_passage(report, "recovery", began_s, seen, diary, limits)
    expect_none(report, "recovery: no request is lost", diary.lost)


async def act_drained(stage: Stage, report: Report, region: Region) -> None:
    """An operator drains the region, with some notice; its clients leave and lose nothing."""
    witness, limits = find_clients(stage, region)[0], limits_of(stage, verdict_s=LEAD_S + 2.0)
    refuges = find_homes(stage, without=(region,))
    diary = open_diary(stage, refuges)
    board = Switchboard(stage)
    await board.drain(region.name, WHY, f"{LEAD_S:.0f}s")
    began_s = report.mark(f"region {region.name} is drained, in {LEAD_S:.0f} s")
    reply = await stage.resolver_of(witness).ask(stage.plot.scenery.name, witness.network)
    report.expect(
        f"drain: until then answers live for {SHORT_TTL_S} s at most",
        reply.addresses == (region.address,) and reply.ttl_s <= SHORT_TTL_S,
        f"{', '.join(reply.addresses)}, TTL {reply.ttl_s} s",
    )
    wanted = {r.name: r.address for r in stage.world.regions}[refuges[witness.name]]
    came = await wait_for_answer(stage, witness, wanted, limits)
    took_s = report.clock() - began_s
    if came:
        report.mark(f"first new answer, for {witness.name}")
    report.expect(
        f"drain: the answer changes {LEAD_S:.0f} s after the order",
        came and LEAD_S - 1.0 <= took_s <= LEAD_S + limits.publish_s,
        f"{took_s:.2f} s",
    )
    listed = [(one.get("name"), one.get("why")) for one in await board.read_overrides()]
    report.expect(
        "drain: the override is listed with its reason", listed == [(region.name, WHY)], f"{listed}"
    )
    # Who asked before the order keeps its answer for the whole TTL, all others for the short one.
    left_s = max(TTL_S - took_s, SHORT_TTL_S)
    _expect_moved(report, "drain", await _await_all(diary, left_s + SLACK_S), diary)
    if diary.complete:
        moved_s = max(diary.arrived_s.values())
        caches_s = max(0.0, moved_s - began_s - took_s)
        report.mark(f"the last client has moved: {diary.last}", moved_s)
        report.measure(Passage("drain", LEAD_S, max(0.0, took_s - LEAD_S), caches_s, "lead"))
    await asyncio.sleep(QUIET_S)
    expect_none(report, "drain: no request is lost", diary.lost)


async def act_resumed(stage: Stage, report: Report, region: Region) -> None:
    """The drain is taken back: the clients come home, and nothing is lost."""
    diary = open_diary(stage, find_homes(stage))
    await Switchboard(stage).undrain(region.name, WHY)
    began_s = report.mark(f"the drain of {region.name} is taken back")
    moved = await _await_all(diary, TTL_S + SLACK_S)
    _expect_moved(report, "undrain", moved, diary)
    if moved:
        last_s = max(diary.arrived_s.values())
        report.mark(f"the last client has moved: {diary.last}", last_s)
        report.measure(Passage("undrain", 0.0, 0.0, last_s - began_s, "order"))
    await asyncio.sleep(QUIET_S)
    expect_none(report, "undrain: no request is lost", diary.lost)


async def _await_all(diary: Diary, at_most_s: float) -> bool:
    return await wait_until(lambda: diary.complete, at_most_s)


def _expect_moved(report: Report, act: str, moved: bool, diary: Diary) -> None:
    report.expect(f"{act}: the last client moves as soon as the caches are empty", moved)
    expect_places(report, f"{act}: every client goes where it should and stays", diary)
