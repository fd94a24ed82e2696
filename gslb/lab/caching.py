"""The drill "caching": what a TTL costs when a region fails.

Knows: crowds of caches that were filled at any time, as caches are; the share of them that has
moved so many seconds after the answer changed. Refuses to know: pages: who still has the dead
address would lose every request. Invariant: what is predicted is said before it is measured, by
one formula: of caches that keep an answer for T seconds, t/T have asked anew after t seconds.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from gslb.lab.act import (
    QUIET_S,
    act_quiet,
    await_peace,
    find_clients,
    find_homes,
    limits_of,
    wait_for_answer,
)
from gslb.lab.city import City
from gslb.lab.diary import STEP_S
from gslb.lab.house import House
from gslb.lab.report import Report, Table
from gslb.lab.resolver import NoAnswer, Resolver
from gslb.lab.stage import Plot, Stage
from gslb.lab.world import LabError, Scenery

SCENERY: Final = Scenery(ttls={"www5": 5, "www60": 60, "www300": 300})
ZONE: Final = "gslb.example.com"
CACHES: Final = 40  # in each crowd
LOOKS_S: Final = (2, 5, 10, 20, 30, 45, 60)  # after the answer has changed
# A crowd of 40 moves in steps of 2.5 %. Who asks anew between the failure and the verdict gets
# the old address once more, with a short TTL (steering.md, TTL).
TOLERANCE: Final = 0.12
HOLD_S: Final = 300  # what a resolver makes of every TTL that does not heed it


@dataclass(frozen=True, slots=True)
class Kind:
    """Caches that ask for a name; `hold_s`: they keep what they get for so long at least."""

    title: str
    label: str
    ttl_s: int
    hold_s: int = 0

    @property
    def keeps_s(self) -> int:
        """How long an answer lives in them."""
        return max(self.ttl_s, self.hold_s)

    def predict(self, after_s: float) -> float:
        """The share that has asked anew so long after the answer changed."""
        return min(1.0, after_s / self.keeps_s)


KINDS: Final = (
    Kind("TTL 5", "www5", 5),
    Kind("TTL 60", "www60", 60),
    Kind("TTL 300", "www300", 300),
    Kind(f"TTL 5, held for {HOLD_S} s", "www5", 5, HOLD_S),
)


@dataclass(slots=True)
class Crowd:
    """Caches of one kind. `away`: which of them have another address than the dead one."""

    kind: Kind
    city: City
    caches: tuple[Resolver, ...]
    moved_s: list[float | None] = field(default_factory=list)

    async def prime(self) -> None:
        """One answer of the server, in each cache as old as that cache happens to be.

        Raises LabError, NoAnswer.
        """
        name = f"{self.kind.label}.{ZONE}"
        reply = await self.caches[0].ask(name, self.city.network)
        if reply.ttl_s != self.kind.ttl_s:
            raise LabError(f"{name} has TTL {reply.ttl_s}, not {self.kind.ttl_s}")
        for index, cache in enumerate(self.caches):
            age_s = self.kind.keeps_s * (index + 0.5) / len(self.caches)
            cache.keep(name, self.city.network, reply, age_s)
        self.moved_s = [None] * len(self.caches)

    async def look(self, dead: str, now_s: float) -> None:
        """Each client asks its cache; who gets another address than the dead one has moved."""
        name = f"{self.kind.label}.{ZONE}"
        for index, cache in enumerate(self.caches):
            if self.moved_s[index] is not None:
                continue
            try:
                addresses = await cache.resolve(name, self.city.client)
            except NoAnswer:
                continue  # it has no page either; the expectation at the end speaks of it
            if dead not in addresses:
                self.moved_s[index] = now_s

    def share(self, at_s: float) -> float:
        """The share that had moved by then."""
        return sum(1 for one in self.moved_s if one is not None and one <= at_s) / len(self.caches)


async def drill_caching(house: House, report: Report) -> None:
    """Runs the drill, about 70 seconds, and fills the report."""
    async with house.open(Plot(SCENERY)) as stage:
        region = stage.world.regions[0]
        await await_peace(stage, report)
        await act_quiet(stage, report, "steady", QUIET_S)
        city = find_clients(stage, region)[0]
        crowds = [
            Crowd(kind, city, tuple(stage.add_resolver(city, kind.hold_s) for _ in range(CACHES)))
            for kind in KINDS
        ]
        for crowd in crowds:
            await crowd.prime()
        report.mark(f"{len(KINDS)} crowds of {CACHES} caches in {city.name}, filled at any time")
        changed_s = await act_killed(stage, report, city, crowds)
        await watch(stage, crowds, region.address, changed_s + LOOKS_S[-1])
        report.mark(f"{LOOKS_S[-1]} s later")
        report.tabulate(tabulate(crowds, changed_s))
        expect_shares(report, crowds, changed_s)


async def act_killed(stage: Stage, report: Report, city: City, crowds: list[Crowd]) -> float:
    """The region is killed; when the answer changed. Raises LabError if it never does."""
    region = stage.world.regions[0]
    await stage.regions[region.name].kill()
    began_s = report.mark(f"region {region.name} is killed")
    refuge = find_homes(stage, without=(region,))[city.name]
    wanted = {one.name: one.address for one in stage.world.regions}[refuge]
    watching = asyncio.create_task(
        watch(stage, crowds, region.address, began_s + limits_of(stage).verdict_s)
    )
    try:
        if not await wait_for_answer(stage, city, wanted, limits_of(stage)):
            raise LabError(f"the answer for {city.name} has not changed")
    finally:
        watching.cancel()
        await asyncio.wait([watching])
    return report.mark(f"first new answer, for {city.name}; from now on it is caches")


async def watch(stage: Stage, crowds: list[Crowd], dead: str, until_s: float) -> None:
    """Every client asks its cache again and again until then."""
    while stage.clock() < until_s:
        for crowd in crowds:
            await crowd.look(dead, stage.clock())
        await asyncio.sleep(2 * STEP_S)


def tabulate(crowds: list[Crowd], changed_s: float) -> Table:
    """Measured and predicted shares, by the time since the answer changed."""
    columns = ["seconds after the answer changed", *(f"{look_s}" for look_s in LOOKS_S)]
    rows = []
    for crowd in crowds:
        seen = [f"{crowd.share(changed_s + look_s):.0%}" for look_s in LOOKS_S]
        rows.append((f"{crowd.kind.title}: moved", *seen))
        rows.append(("  predicted", *(f"{crowd.kind.predict(look_s):.0%}" for look_s in LOOKS_S)))
    title = f"share of {CACHES} caches that have the new address"
    return Table(title, tuple(columns), tuple(rows))


def expect_shares(report: Report, crowds: list[Crowd], changed_s: float) -> None:
    """Each crowd moves as its TTL, or its resolver, says."""
    for crowd in crowds:
        off = {
            look_s: crowd.share(changed_s + look_s) - crowd.kind.predict(look_s)
            for look_s in LOOKS_S
        }
        worst = max(off, key=lambda look_s: abs(off[look_s]))
        report.expect(
            f"{crowd.kind.title}: the share that has moved is as predicted, within {TOLERANCE:.0%}",
            abs(off[worst]) <= TOLERANCE,
            f"furthest off by {off[worst]:+.0%}, after {worst} s",
        )
    for crowd in crowds:
        if crowd.kind.keeps_s < LOOKS_S[-1]:
            done = crowd.share(changed_s + LOOKS_S[-1])
            report.expect(f"{crowd.kind.title}: everybody has moved", done == 1.0, f"{done:.0%}")
    short, _, long, deaf = crowds
    now_s = changed_s + LOOKS_S[-1]
    report.expect(
        "a resolver that does not heed a TTL of 5 is as slow as one with a TTL of 300",
        abs(deaf.share(now_s) - long.share(now_s)) <= TOLERANCE < short.share(now_s),
        f"{deaf.share(now_s):.0%} and {long.share(now_s):.0%} after {LOOKS_S[-1]} s",
    )
