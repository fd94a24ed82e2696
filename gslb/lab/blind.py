"""The drill "prober-blind": the server can probe nothing, and its clients can reach everything.

Knows: gates between the server and the regions' probed ports, which clients do not use. Refuses
to know: how the server tells its own blindness from an outage. Invariant: no page is ever out of
reach here, so every lost request is a mistake of the server's.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    act_quiet,
    await_peace,
    find_homes,
    follow,
    foresee,
    limits_of,
    look,
    open_diary,
    see_verdicts,
)
from gslb.lab.diary import Sighting, expect_none, expect_passage, expect_places, wait_for
from gslb.lab.house import House
from gslb.lab.metric import count_verdicts, find_value
from gslb.lab.report import Report
from gslb.lab.stage import Plot, Stage
from gslb.lab.switchboard import Switchboard

NOTICE_MAX_S: Final = 8.0  # a probe of everything, and of the witness
BLIND_S: Final = 12.0  # long enough for `fall` failures, and for every cache to ask anew


async def drill_blind(house: House, report: Report) -> None:
    """Runs the drill, about a minute, and fills the report."""
    async with house.open(Plot(gated=True)) as stage:
        await await_peace(stage, report)
        await act_quiet(stage, report, "steady", QUIET_S)
        await act_blinded(stage, report)
        await act_seeing(stage, report)
        await act_cut_off(stage, report)
        await act_reconnected(stage, report)


async def act_blinded(stage: Stage, report: Report) -> None:
    """Neither a region nor the witness can be probed: nothing changes but what the server says."""
    act, diary = "blind", open_diary(stage, find_homes(stage))
    before = await _count_all(stage)
    for gate in [*stage.gates.values(), stage.witness]:
        await gate.shut()
    began_s = report.mark("the server is cut off from all regions and from the witness")

    noticed = await _wait_for_blindness(stage, 1)
    if noticed:
        report.mark("the server says that it is blind")
    report.expect(
        f"{act}: the server says so within {NOTICE_MAX_S:.0f} s",
        noticed,
        f"{report.clock() - began_s:.2f} s",
    )
    told = (await Switchboard(stage).read_health()).get("blind")
    why = told.get("why") if isinstance(told, dict) else None
    report.expect(f"{act}: and why", bool(why), f"{why}")
    await asyncio.sleep(BLIND_S)
    log = (stage.folder / "server.log").read_text(encoding="utf-8", errors="replace")
    said = [line for line in log.splitlines() if " blind " in line and "to=blind" in line]
    report.expect(f"{act}: its log has the event, once", len(said) == 1, f"{len(said)}")
    count = await _count_all(stage) - before
    report.expect(f"{act}: verdicts stay", count == 0, f"{count:.0f} new ones")
    expect_places(report, f"{act}: answers stay: every client is at its nearest region", diary)
    expect_none(report, f"{act}: no request is lost", diary.lost)


async def act_seeing(stage: Stage, report: Report) -> None:
    """The ways are open again: blindness ends by itself, and nobody has noticed anything."""
    act, diary = "seeing", open_diary(stage, find_homes(stage))
    before = await _count_all(stage)
    for gate in [stage.witness, *stage.gates.values()]:
        await gate.open()
    began_s = report.mark("the server can see again")
    ended = await _wait_for_blindness(stage, 0)
    report.expect(
        f"{act}: blindness ends within {NOTICE_MAX_S:.0f} s",
        ended,
        f"{report.clock() - began_s:.2f} s",
    )
    await asyncio.sleep(2 * QUIET_S)  # what failed before would have fallen by now
    count = await _count_all(stage) - before
    report.expect(f"{act}: no verdict comes of what was not seen", count == 0, f"{count:.0f}")
    expect_places(report, f"{act}: every client is at its nearest region", diary)
    expect_none(report, f"{act}: no request is lost", diary.lost)


async def act_cut_off(stage: Stage, report: Report) -> None:
    """The counter-proof: with a witness, all regions but one out of reach are an outage."""
    act, (first, second, _) = "cut off", stage.world.regions
    limits = limits_of(stage)
    diary = open_diary(stage, find_homes(stage, without=(first, second)))
    changes = [await foresee(stage, region, "down", diary, limits) for region in (first, second)]
    await asyncio.gather(*(stage.gates[region.name].shut() for region in (first, second)))
    began_s = report.mark(
        f"the server is cut off from {first.name} and {second.name}, not from the witness"
    )
    one, _ = await asyncio.gather(
        follow(stage, report, changes[0]), see_verdicts(stage, report, changes[1], Sighting())
    )
    await asyncio.sleep(QUIET_S)
    expect_passage(report, act, began_s, one, diary, limits)
    blind = find_value(await look(stage), "gslb_prober_blind")
    report.expect(f"{act}: that is no blindness", blind == 0, f"{blind}")
    expect_none(report, f"{act}: no request is lost", diary.lost)


async def act_reconnected(stage: Stage, report: Report) -> None:
    """Both are in reach again: everybody comes home."""
    act, (first, second, _) = "reconnected", stage.world.regions
    limits = limits_of(stage)
    diary = open_diary(stage, find_homes(stage))
    changes = [await foresee(stage, region, "up", diary, limits) for region in (first, second)]
    await asyncio.gather(*(stage.gates[region.name].open() for region in (first, second)))
    began_s = report.mark(f"{first.name} and {second.name} are in reach again")
    one, _ = await asyncio.gather(
        follow(stage, report, changes[0]), see_verdicts(stage, report, changes[1], Sighting())
    )
    await asyncio.sleep(QUIET_S)
    expect_passage(report, act, began_s, one, diary, limits)
    expect_none(report, f"{act}: no request is lost", diary.lost)


async def _wait_for_blindness(stage: Stage, wanted: int) -> bool:
    async def is_so() -> bool:
        return find_value(await look(stage), "gslb_prober_blind") == wanted

    return await wait_for(is_so, NOTICE_MAX_S)


async def _count_all(stage: Stage) -> float:
    """Verdicts of any kind about any region so far."""
    samples = await look(stage)
    return sum(
        count_verdicts(samples, region.name, to)
        for region in stage.world.regions
        for to in ("up", "down")
    )
