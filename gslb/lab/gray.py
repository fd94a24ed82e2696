"""The drill "gray": a region that is neither well nor dead.

Knows: a slow page, errors one time in three, a page that says something else; who notices which:
the server's own check, or the clients. Refuses to know: how both are added up. Invariant: each
fault is healed before the next, so that every act begins with everybody at home.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    VERDICT_MAX_S,
    act_quiet,
    await_peace,
    find_clients,
    find_homes,
    follow,
    foresee,
    limits_of,
    open_diary,
)
from gslb.lab.client import PAUSE_S
from gslb.lab.diary import (
    Bound,
    Diary,
    expect_answers,
    expect_losses,
    expect_none,
    expect_none_once_moved,
    expect_passage,
)
from gslb.lab.house import House
from gslb.lab.report import Report
from gslb.lab.reporter import OVER_S, Reporter
from gslb.lab.stage import Plot, Stage
from gslb.lab.switchboard import Switchboard
from gslb.lab.world import Region, Scenery

SLOW_MS: Final = 650  # beyond the check's timeout of 500 ms, not beyond a client's patience
SCENERY: Final = Scenery("drills/gray.yaml", {"gray": 5}, "gray.gslb.example.com", 5, dual=False)
LIMIT_S: Final = VERDICT_MAX_S + OVER_S  # a reporter looks back so far


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to the region (`order`), and who has to notice: `page`, `felt` or both."""

    act: str
    order: str
    what: str
    seen_by: frozenset[str]
    costs: bool  # clients lose requests by it


FAULTS: Final = (
    Fault("slow", f"slow?ms={SLOW_MS}", f"takes {SLOW_MS} ms", frozenset(("page",)), costs=False),
    Fault("errors", "errors?every=3", "fails one page in 3", frozenset(("felt",)), costs=True),
    Fault("garbled", "garble", "says something else", frozenset(("page", "felt")), costs=True),
)


async def drill_gray(house: House, report: Report) -> None:
    """Runs the drill, about 70 seconds, and fills the report."""
    async with house.open(Plot(SCENERY)) as stage:
        region = stage.world.regions[0]
        reporter = Reporter(stage, "felt")
        stage.observers[:1] = [reporter.observe]  # the first one sees every act
        reporting = asyncio.create_task(reporter.run())
        try:
            await await_peace(stage, report)
            await act_quiet(stage, report, "steady", QUIET_S)
            for fault in FAULTS:
                await act_fault(stage, report, region, fault)
                await act_healed(stage, report, region, fault)
        finally:
            reporting.cancel()
            await asyncio.wait([reporting])
        report.expect(
            "every report of a client's visits is taken", not reporter.refusal, reporter.refusal
        )


async def act_fault(stage: Stage, report: Report, region: Region, fault: Fault) -> None:
    """The region is left, whoever had to notice."""
    movers, limits = find_clients(stage, region), limits_of(stage, LIMIT_S)
    diary = open_diary(stage, find_homes(stage, without=(region,)))
    change = await foresee(stage, region, "down", diary, limits)
    await stage.order(region, fault.order)
    began_s = report.mark(f"{region.name} {fault.what}")
    seen = await follow(stage, report, change)
    states = await read_states(stage, region)
    report.mark("; ".join(f"{check}: {state}" for check, state in sorted(states.items())))
    down = frozenset(check for check in ("page", "felt") if states.get(check) == "down")
    wanted = " and ".join(sorted(fault.seen_by))
    report.expect(
        f"{fault.act}: it is {wanted} that notices, and the region is down",
        down == fault.seen_by and states.get("web") == "down",
        f"{states}",
    )
    await asyncio.sleep(QUIET_S)
    expect_passage(report, fault.act, began_s, seen, diary, limits)
    _expect_costs(report, fault, diary, Bound(len(movers), round(1 / PAUSE_S), limits))


def _expect_costs(report: Report, fault: Fault, diary: Diary, bound: Bound) -> None:
    report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    if not fault.costs:
        expect_none(report, f"{fault.act}: no request is lost", diary.lost)
        return
    expect_losses(report, fault.act, diary, bound)
    expect_none_once_moved(report, fault.act, diary)
    expect_answers(report, fault.act, diary)


async def act_healed(stage: Stage, report: Report, region: Region, fault: Fault) -> None:
    """All is well again: both notice, and the clients come home."""
    act = f"{fault.act}, healed"
    diary, limits = open_diary(stage, find_homes(stage)), limits_of(stage, LIMIT_S)
    change = await foresee(stage, region, "up", diary, limits)
    await stage.order(region, "heal")
    began_s = report.mark(f"{region.name} is healed")
    seen = await follow(stage, report, change)
    await asyncio.sleep(1.0)
    expect_passage(report, act, began_s, seen, diary, limits)
    expect_none(report, f"{act}: no request is lost", diary.lost)


async def read_states(stage: Stage, region: Region) -> dict[str, str]:
    """What each check says of a region's address."""
    targets = await Switchboard(stage).read_targets()
    return {
        str(one.get("check")): str(one.get("state"))
        for one in targets
        if one.get("address") == region.address
    }
