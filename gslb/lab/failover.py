"""The drill "failover": a region dies, its clients go to the next nearest, and come home.

Knows: the three acts, steady, killed, recovered, and what each must look like from outside.
Refuses to know: how the server does it. Invariant: every wait ends, and what did not happen
in time is an expectation that failed, never a hang.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gslb.lab.city import City, rank
from gslb.lab.client import Visit
from gslb.lab.diary import (
    Diary,
    Limits,
    Note,
    Sighting,
    expect_none,
    expect_passage,
    expect_places,
    wait_for,
    wait_until,
)
from gslb.lab.metric import Sample, count_failed_probes, count_verdicts, read_samples
from gslb.lab.report import Report
from gslb.lab.resolver import NoAnswer
from gslb.lab.stage import Stage
from gslb.lab.world import NAME, TTL_S, Region

STEADY_S: Final = TTL_S + 2.0  # every cache has asked anew at least once
QUIET_S: Final = 3.0  # how long it is watched that nothing moves any more
# Down: the wait for the next probe and two more, 1.1 s apart at most (jitter), and a timeout:
# 3.8 s. Up: two probes. The rest is for a busy machine.
VERDICT_MAX_S: Final = 8.0
# An answer follows its verdict within 100 ms; here it is seen through two clocks of 50 ms.
PUBLISH_MAX_S: Final = 1.0
LIMITS: Final = Limits(VERDICT_MAX_S, PUBLISH_MAX_S, TTL_S, slack_s=3.0)


async def drill_failover(stage: Stage, report: Report) -> None:
    """Runs the drill, about a minute, and fills the report."""
    region = stage.world.regions[0]
    others = tuple(other for other in stage.world.regions if other is not region)
    homes = {city.name: rank(city, stage.world.regions)[0] for city in stage.cities}
    refuges = {city.name: rank(city, others)[0] for city in stage.cities}
    movers = [city for city in stage.cities if homes[city.name] == region.name]

    report.mark(f"steady: {len(stage.cities)} clients, every cache asks anew within {TTL_S} s")
    await act_steady(stage, report, homes)
    await act_killed(stage, report, region, movers, refuges)
    await act_recovered(stage, report, region, movers, homes)


async def act_steady(stage: Stage, report: Report, homes: dict[str, str]) -> None:
    """Everybody is at the nearest region and nothing is lost."""
    diary = open_diary(stage, homes)
    await wait_until(lambda: diary.complete, STEADY_S)
    await asyncio.sleep(STEADY_S)
    expect_places(report, "steady: every client is at its nearest region", diary)
    expect_none(report, "steady: no request is lost", diary.lost)


async def act_killed(
    stage: Stage, report: Report, region: Region, movers: list[City], refuges: dict[str, str]
) -> None:
    """The region's process is killed; its clients go to the next nearest region."""
    diary = open_diary(stage, refuges)
    failed_before = count_failed_probes(await look(stage))
    pid = stage.regions[region.name].pid
    await stage.regions[region.name].kill()
    began_s = report.mark(f"region {region.name} is killed (kill -9 {pid})")

    async def probe_failed() -> bool:
        return count_failed_probes(await look(stage)) > failed_before

    async def mark_failed_probe() -> None:
        if await wait_for(probe_failed, VERDICT_MAX_S):
            report.mark("a probe has failed")

    _, passage = await asyncio.gather(
        mark_failed_probe(),
        follow(stage, report, region, movers[0], diary, "down"),
    )
    await asyncio.sleep(QUIET_S)
    report.mark(f"{len(diary.lost)} requests were lost meanwhile")
    expect_passage(report, "failover", began_s, passage, diary, LIMITS)
    names = {city.name for city in movers}
    expect_none(
        report,
        f"failover: nobody but clients of {region.name} loses a request",
        [note for note in diary.lost if note.who not in names],
    )
    last_s = max(diary.arrived_s.values(), default=began_s)
    expect_none(
        report,
        "failover: no request is lost after the last client moved",
        [note for note in diary.lost if note.at_s > last_s],
    )
    expect_none(
        report,
        "failover: every question is answered",
        [note for note in diary.lost if not note.region],
    )


async def act_recovered(
    stage: Stage, report: Report, region: Region, movers: list[City], homes: dict[str, str]
) -> None:
    """The region is started again; its clients come home and nothing is lost."""
    diary = open_diary(stage, homes)
    await stage.start_region(region)
    began_s = report.mark(f"region {region.name} is started again")
    passage = await follow(stage, report, region, movers[0], diary, "up")
    await asyncio.sleep(QUIET_S)
    expect_passage(report, "recovery", began_s, passage, diary, LIMITS)
    expect_none(report, "recovery: no request is lost", diary.lost)


async def follow(
    stage: Stage,
    report: Report,
    region: Region,
    witness: City,
    diary: Diary,
    to: str,
) -> Sighting:
    """Sees verdicts ("up" or "down"), answer and clients change, each with a deadline.

    `witness`: a city whose answer has to change; it is asked for past every cache.
    """
    seen = Sighting()
    places = {r.name: r.address for r in stage.world.regions}
    wanted = (places[diary.expected[witness.name]],)
    before = count_verdicts(await look(stage), region.name, to)
    addresses = 2 if stage.world.ipv6 else 1

    async def verdicts_came() -> bool:
        count = count_verdicts(await look(stage), region.name, to) - before
        while len(seen.verdicts_s) < min(count, addresses):
            number = len(seen.verdicts_s) + 1
            what = f"verdict: {region.name} is {to}, address {number} of {addresses}"
            seen.verdicts_s.append(report.mark(what))
        return count >= addresses

    async def answer_changed() -> bool:
        try:
            reply = await stage.resolver_of(witness).ask(NAME, witness.network)
        except NoAnswer:
            return False
        return reply.addresses == wanted

    async def see_answer() -> None:
        if await wait_for(answer_changed, VERDICT_MAX_S + PUBLISH_MAX_S):
            seen.answer_s = report.mark(f"first new answer, for {witness.name}")

    await asyncio.gather(wait_for(verdicts_came, VERDICT_MAX_S), see_answer())
    if await wait_until(lambda: diary.complete, LIMITS.caches_s):
        report.mark(f"the last client has moved: {diary.last}", diary.arrived_s[diary.last])
    return seen


def open_diary(stage: Stage, expected: dict[str, str]) -> Diary:
    """A new act: visits go into a diary of its own from now on."""
    diary = Diary(expected)

    def observe(visit: Visit) -> None:
        diary.observe(Note(visit.at_s, visit.city, visit.region, visit.failure))

    stage.observers[1:] = [observe]
    return diary


async def look(stage: Stage) -> list[Sample]:
    """The server's metrics now."""
    return await read_samples(stage.session, stage.world.control_url)
