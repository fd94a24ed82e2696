"""What the acts of the drills on one machine have in common.

Knows: who is at home where, how a verdict, an answer and the clients are followed. Refuses to
know: what is broken. Invariant: every wait ends, and what did not happen in time is an
expectation that failed, never a hang.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from gslb.lab.city import City, rank
from gslb.lab.client import Visit
from gslb.lab.diary import (
    Diary,
    Limits,
    Note,
    Sighting,
    expect_answers,
    expect_none,
    expect_none_once_moved,
    expect_places,
    wait_for,
    wait_until,
)
from gslb.lab.metric import Sample, count_verdicts, read_samples
from gslb.lab.report import Report
from gslb.lab.resolver import NoAnswer
from gslb.lab.stage import Stage
from gslb.lab.world import LabError, Region

QUIET_S: Final = 3.0  # how long it is watched that nothing moves any more
# Down: the wait for the next probe and two more, 1.1 s apart at most (jitter), and a timeout:
# 3.8 s. Up: two probes. The rest is for a busy machine.
VERDICT_MAX_S: Final = 8.0
# An answer follows its verdict within 100 ms; here it is seen through two clocks of 50 ms.
PUBLISH_MAX_S: Final = 1.0
SLACK_S: Final = 3.0


def limits_of(stage: Stage, verdict_s: float = VERDICT_MAX_S) -> Limits:
    """How long a change may take on a stage."""
    return Limits(verdict_s, PUBLISH_MAX_S, stage.plot.scenery.ttl_s, SLACK_S)


def find_homes(stage: Stage, without: tuple[Region, ...] = ()) -> dict[str, str]:
    """The region that each city's client belongs to: the nearest, of those that are left."""
    left = tuple(region for region in stage.world.regions if region not in without)
    return {city.name: rank(city, left)[0] for city in stage.cities}


def find_clients(stage: Stage, region: Region) -> list[City]:
    """The cities whose clients are at home at a region."""
    homes = find_homes(stage)
    return [city for city in stage.cities if homes[city.name] == region.name]


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


async def await_peace(stage: Stage, report: Report) -> None:
    """Waits until everybody is at home. Raises LabError if that never comes."""
    diary = open_diary(stage, find_homes(stage))
    if not await wait_until(lambda: diary.complete, limits_of(stage).caches_s):
        missing = sorted(set(diary.expected) - set(diary.arrived_s))
        raise LabError(f"never at home: {', '.join(missing)}; the lab was not well to begin with")
    report.mark(f"{len(diary.expected)} clients are at their nearest regions")


async def act_quiet(stage: Stage, report: Report, act: str, for_s: float) -> None:
    """Everybody is at home for so long, and nothing is lost."""
    diary = open_diary(stage, find_homes(stage))
    await wait_until(lambda: diary.complete, for_s)
    await asyncio.sleep(for_s)
    expect_places(report, f"{act}: every client is at its nearest region", diary)
    expect_none(report, f"{act}: no request is lost", diary.lost)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to come: a region's verdict goes `to` "up" or "down", `diary` says who moves where.

    `witness`: a city whose answer has to change; it is asked for past every cache. `before`: how
    many such verdicts there were until now.
    """

    region: Region
    to: str
    witness: City
    diary: Diary
    limits: Limits
    before: float


async def foresee(
    stage: Stage, region: Region, to: str, diary: Diary, limits: Limits | None = None
) -> Change:
    """A change that is about to be brought about; call this before."""
    before = count_verdicts(await look(stage), region.name, to)
    witness = find_clients(stage, region)[0]
    return Change(region, to, witness, diary, limits or limits_of(stage), before)


async def follow(stage: Stage, report: Report, change: Change) -> Sighting:
    """Sees verdicts, answer and clients change, each with a deadline."""
    seen = Sighting()
    diary, limits = change.diary, change.limits
    places = {r.name: r.address for r in stage.world.regions}
    wanted = places[diary.expected[change.witness.name]]

    async def see_answer() -> None:
        if await wait_for_answer(stage, change.witness, wanted, limits):
            seen.answer_s = report.mark(f"first new answer, for {change.witness.name}")

    await asyncio.gather(see_verdicts(stage, report, change, seen), see_answer())
    if await wait_until(lambda: diary.complete, limits.caches_s):
        report.mark(f"the last client has moved: {diary.last}", diary.arrived_s[diary.last])
    return seen


async def see_verdicts(stage: Stage, report: Report, change: Change, seen: Sighting) -> None:
    """Notes when each of the region's addresses becomes `up` or `down`."""
    name, to, addresses = change.region.name, change.to, stage.families

    async def verdicts_came() -> bool:
        count = count_verdicts(await look(stage), name, to) - change.before
        while len(seen.verdicts_s) < min(count, addresses):
            number = len(seen.verdicts_s) + 1
            what = f"verdict: {name} is {to}, address {number} of {addresses}"
            seen.verdicts_s.append(report.mark(what))
        return count >= addresses

    await wait_for(verdicts_came, change.limits.verdict_s)


async def wait_for_answer(stage: Stage, city: City, wanted: str, limits: Limits) -> bool:
    """True as soon as a city is sent to an address, asked for past every cache."""

    async def answer_changed() -> bool:
        try:
            reply = await stage.resolver_of(city).ask(stage.plot.scenery.name, city.network)
        except NoAnswer:
            return False
        return reply.addresses == (wanted,)

    return await wait_for(answer_changed, limits.verdict_s + limits.publish_s)


def expect_only(report: Report, act: str, diary: Diary, cities: list[City]) -> None:
    """Nobody but the clients of the regions that failed has lost anything, nor they afterwards."""
    names = {city.name for city in cities}
    expect_none(
        report,
        f"{act}: nobody but those clients loses a request",
        [note for note in diary.lost if note.who not in names],
    )
    expect_none_once_moved(report, act, diary)
    expect_answers(report, act, diary)
