"""The drill "failover": a region dies, its clients go to the next nearest, and come home.

Knows: the three acts, steady, killed, recovered, and what each must look like from outside.
Refuses to know: how the server does it. Invariant: every wait ends, and what did not happen
in time is an expectation that failed, never a hang.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from gslb.lab.city import City, rank
from gslb.lab.client import Visit
from gslb.lab.metric import Sample, count_failed_probes, count_verdicts, read_samples
from gslb.lab.report import Passage, Report
from gslb.lab.resolver import NoAnswer
from gslb.lab.stage import Stage
from gslb.lab.world import NAME, TTL_S, Region

STEP_S: Final = 0.05  # how often things are looked at: what is measured is this precise
STEADY_S: Final = TTL_S + 2.0  # every cache has asked anew at least once
QUIET_S: Final = 3.0  # how long it is watched that nothing moves any more
# Down: the wait for the next probe and two more, 1.1 s apart at most (jitter), and a timeout:
# 3.8 s. Up: two probes. The rest is for a busy machine.
VERDICT_MAX_S: Final = 8.0
# An answer follows its verdict within 100 ms; here it is seen through two clocks of STEP_S.
PUBLISH_MAX_S: Final = 1.0
CACHES_MAX_S: Final = TTL_S + 3.0


@dataclass(slots=True)
class Diary:
    """The visits of one act: who moved where and when, and what was lost."""

    expected: dict[str, str]  # city → region
    visits: list[Visit] = field(default_factory=list)
    arrived_s: dict[str, float] = field(default_factory=dict)

    def observe(self, visit: Visit) -> None:
        """Notes a visit; a city has arrived at its first page from the expected region."""
        self.visits.append(visit)
        if not visit.failure and visit.region == self.expected[visit.city]:
            self.arrived_s.setdefault(visit.city, visit.at_s)

    @property
    def complete(self) -> bool:
        """True if every city has arrived."""
        return len(self.arrived_s) == len(self.expected)

    @property
    def lost(self) -> list[Visit]:
        """The visits without a page."""
        return [visit for visit in self.visits if visit.failure]

    def strays(self) -> list[Visit]:
        """Visits to another region than the expected one after the city had arrived."""
        return [
            visit
            for visit in self.visits
            if visit.at_s > self.arrived_s.get(visit.city, visit.at_s)
            and visit.region != self.expected[visit.city]
        ]


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
    expect_passage(report, "failover", began_s, passage, diary)
    names = {city.name for city in movers}
    expect_none(
        report,
        f"failover: nobody but clients of {region.name} loses a request",
        [visit for visit in diary.lost if visit.city not in names],
    )
    last_s = max(diary.arrived_s.values(), default=began_s)
    expect_none(
        report,
        "failover: no request is lost after the last client moved",
        [visit for visit in diary.lost if visit.at_s > last_s],
    )
    expect_none(
        report,
        "failover: every question is answered",
        [visit for visit in diary.lost if not visit.region],
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
    expect_passage(report, "recovery", began_s, passage, diary)
    expect_none(report, "recovery: no request is lost", diary.lost)


@dataclass(slots=True)
class Sighting:
    """What was seen of a change, on the clock: a verdict per address, and the first new answer."""

    verdicts_s: list[float] = field(default_factory=list)
    answer_s: float | None = None

    @property
    def verdict_s(self) -> float | None:
        """The verdict that the answer followed: each address has its own, IPv4 and IPv6.

        It is the last one before the answer; both are seen by looking, so STEP_S may lie
        between what happened at once.
        """
        before = [at_s for at_s in self.verdicts_s if at_s <= (self.answer_s or 0.0) + 2 * STEP_S]
        return before[-1] if before else next(iter(self.verdicts_s), None)


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
    before = count_verdicts(await look(stage), region, to)
    addresses = 2 if stage.world.ipv6 else 1

    async def verdicts_came() -> bool:
        count = count_verdicts(await look(stage), region, to) - before
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
    if await wait_until(lambda: diary.complete, CACHES_MAX_S):
        last = max(diary.arrived_s, key=lambda city: diary.arrived_s[city])
        report.mark(f"the last client has moved: {last}", diary.arrived_s[last])
    return seen


def open_diary(stage: Stage, expected: dict[str, str]) -> Diary:
    """A new act: visits go into a diary of its own from now on."""
    diary = Diary(expected)
    stage.observers[1:] = [diary.observe]
    return diary


async def look(stage: Stage) -> list[Sample]:
    """The server's metrics now."""
    return await read_samples(stage.session, stage.world.control_url)


async def wait_for(happened: Callable[[], Awaitable[bool]], at_most_s: float) -> bool:
    """Looks every STEP_S until it has happened; False if it has not in time."""
    clock = asyncio.get_running_loop().time
    deadline_s = clock() + at_most_s
    while not await happened():
        if clock() > deadline_s:
            return False
        await asyncio.sleep(STEP_S)
    return True


async def wait_until(happened: Callable[[], bool], at_most_s: float) -> bool:
    """`wait_for` of something that needs no waiting to see."""

    async def look_now() -> bool:
        return happened()

    return await wait_for(look_now, at_most_s)


def expect_places(report: Report, what: str, diary: Diary) -> None:
    """Every city arrived where it was expected and stayed there."""
    missing = sorted(set(diary.expected) - set(diary.arrived_s))
    away = sorted({visit.city for visit in diary.strays()})
    detail = f"{len(diary.arrived_s)} of {len(diary.expected)}"
    if missing:
        detail += f"; never: {', '.join(missing)}"
    if away:
        detail += f"; left again: {', '.join(away)}"
    report.expect(what, not missing and not away, detail)


def expect_none(report: Report, what: str, visits: list[Visit]) -> None:
    """Nothing was lost; else how much, and the first one's reason."""
    detail = (
        f"{len(visits)}, the first from {visits[0].city}: {visits[0].failure}" if visits else ""
    )
    report.expect(what, not visits, detail)


def expect_passage(report: Report, act: str, began_s: float, seen: Sighting, diary: Diary) -> None:
    """The verdict, the first new answer and the last client came, each in its time."""
    verdict_s, answer_s = seen.verdict_s, seen.answer_s
    report.expect(
        f"{act}: the verdict comes within {VERDICT_MAX_S:.0f} s",
        verdict_s is not None,
        "" if verdict_s is None else f"{verdict_s - began_s:.2f} s",
    )
    report.expect(f"{act}: the answer changes", answer_s is not None)
    expect_places(report, f"{act}: every client goes where it should and stays", diary)
    if verdict_s is None or answer_s is None or not diary.complete:
        return
    last_s = max(diary.arrived_s.values())
    # Both were seen by looking every STEP_S, so the answer may seem to come first.
    publish_s = max(0.0, answer_s - verdict_s)
    report.expect(
        f"{act}: the answer changes within {PUBLISH_MAX_S:.0f} s of the verdict",
        publish_s <= PUBLISH_MAX_S,
        f"{publish_s:.2f} s",
    )
    changed_s = max(verdict_s, answer_s)
    caches_s = max(0.0, last_s - changed_s)
    report.expect(
        f"{act}: the last client moves within the TTL of {TTL_S} s",
        caches_s <= CACHES_MAX_S,
        f"{caches_s:.2f} s after the answer changed",
    )
    report.measure(Passage(act, verdict_s - began_s, publish_s, caches_s))
