"""The drill "everything-down": all regions die at once, and come back.

Knows: that an outage of everything is an outage, not blindness, while a witness answers; that a
name keeps its answers (`when_all_down: serve_all`). Refuses to know: how the server tells.
Invariant: whatever a client lost, it was a page, never an answer.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    act_quiet,
    await_peace,
    find_homes,
    foresee,
    limits_of,
    look,
    open_diary,
    see_verdicts,
)
from gslb.lab.diary import (
    Sighting,
    expect_answers,
    expect_none,
    expect_places,
    wait_for,
    wait_until,
)
from gslb.lab.house import House
from gslb.lab.metric import find_value, is_up, sum_values
from gslb.lab.report import Passage, Report
from gslb.lab.resolver import NoAnswer
from gslb.lab.stage import Plot, Stage

OUTAGE_S: Final = 12.0  # after the last verdict: every cache has asked anew
LATE_S: Final = 2.0  # a visit that was on its way, on a busy machine


async def drill_everything(house: House, report: Report) -> None:
    """Runs the drill, about 35 seconds, and fills the report."""
    async with house.open(Plot()) as stage:
        await await_peace(stage, report)
        await act_quiet(stage, report, "steady", QUIET_S)
        await act_killed(stage, report)
        await act_recovered(stage, report)


async def act_killed(stage: Stage, report: Report) -> None:
    """All regions are killed; questions are still answered."""
    act, regions, limits = "everything down", stage.world.regions, limits_of(stage)
    diary = open_diary(stage, find_homes(stage))
    fallbacks = sum_values(await look(stage), "gslb_policy_fallback_total")
    changes = [await foresee(stage, region, "down", diary, limits) for region in regions]
    await asyncio.gather(*(stage.regions[region.name].kill() for region in regions))
    report.mark(f"{', '.join(region.name for region in regions)} are killed")
    sightings = [Sighting() for _ in regions]
    await asyncio.gather(
        *(
            see_verdicts(stage, report, change, seen)
            for change, seen in zip(changes, sightings, strict=True)
        )
    )
    verdicts = sum(len(seen.verdicts_s) for seen in sightings)
    report.expect(
        f"{act}: every address is down within {limits.verdict_s:.0f} s, for the witness is there",
        verdicts == len(regions) * stage.families,
        f"{verdicts} verdicts",
    )
    await expect_home_answers(stage, report, act)
    await asyncio.sleep(OUTAGE_S)
    samples = await look(stage)
    blind = find_value(samples, "gslb_prober_blind")
    report.expect(f"{act}: the prober does not call itself blind", blind == 0, f"{blind}")
    count = sum_values(samples, "gslb_policy_fallback_total") - fallbacks
    report.expect(f"{act}: answers of the last resort are counted", count > 0, f"{count:.0f}")
    report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_answers(report, act, diary)


async def expect_home_answers(stage: Stage, report: Report, act: str) -> None:
    """Past every cache: each city gets the address of its own region, and a short TTL."""
    addresses = {region.name: region.address for region in stage.world.regions}
    homes, wrong, ttls = find_homes(stage), [], []
    for city in stage.cities:
        try:
            reply = await stage.resolver_of(city).ask(stage.plot.scenery.name, city.network)
        except NoAnswer as error:
            wrong.append(f"{city.name}: {error}")
            continue
        ttls.append(reply.ttl_s)
        if addresses[homes[city.name]] not in reply.addresses:
            wrong.append(f"{city.name}: {', '.join(reply.addresses) or 'no address'}")
    detail = "; ".join(wrong) or f"TTL {max(ttls, default=0)} s at most"
    report.expect(f"{act}: each city still gets its own region", not wrong, detail)


async def act_recovered(stage: Stage, report: Report) -> None:
    """All are started again: everybody comes home, and loses nothing on the way.

    The first region to be up has everybody for a moment, and caches keep that for their TTL.
    """
    act, regions, limits = "everything up", stage.world.regions, limits_of(stage)
    outage = open_diary(stage, find_homes(stage))
    await asyncio.gather(*(stage.start_region(region) for region in regions))
    began_s = report.mark(f"{', '.join(region.name for region in regions)} are started again")

    async def all_are_up() -> bool:
        samples = await look(stage)
        return all(is_up(samples, region) for region in regions)

    came = await wait_for(all_are_up, limits.verdict_s)
    up_s = report.mark("verdict: all are up") if came else report.clock()
    what = f"{act}: every region is up within {limits.verdict_s:.0f} s"
    report.expect(what, came, f"{up_s - began_s:.2f} s")
    lost = [note for note in outage.lost if note.at_s > began_s + LATE_S]
    diary = open_diary(stage, find_homes(stage))
    await wait_until(lambda: diary.complete, limits.caches_s)
    if diary.complete:
        last_s = max(diary.arrived_s.values())
        report.mark(f"the last client is at home: {diary.last}", last_s)
        report.measure(Passage("recovery", up_s - began_s, 0.0, max(0.0, last_s - up_s)))
    await asyncio.sleep(QUIET_S)
    expect_places(report, f"{act}: every client comes home and stays", diary)
    lost = [*lost, *diary.lost]
    expect_none(report, f"{act}: once they are there, no request is lost", lost)
    expect_answers(report, act, outage)
