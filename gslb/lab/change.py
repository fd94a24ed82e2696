"""A change of the containers' world, followed until everybody has noticed.

Knows: that verdicts, answers and clients follow an event, in this order, at each server and in
each family. Refuses to know: what the event is. Invariant: everything has its deadline; what
did not come by then is missing from the sightings, and waited for no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gslb.lab.diary import Diary, Limits, Sighting, wait_for, wait_until
from gslb.lab.metric import Sample, count_failed_probes, count_verdicts
from gslb.lab.report import Report
from gslb.lab.site import Server
from gslb.lab.stub import AAAA, A
from gslb.lab.watch import Watch
from gslb.lab.world import LabError

TYPES: Final = {A: "A", AAAA: "AAAA"}


@dataclass(frozen=True, slots=True)
class Change:
    """What is to come: `regions` go `to` ("up", "down"), clients of `of` are sent to `wanted`.

    `of` is the region among them whose verdicts the answer is timed by.
    """

    act: str
    regions: tuple[str, ...]
    to: str
    of: str
    wanted: str

    @property
    def addresses(self) -> int:
        """How many verdicts each server has to come to."""
        return len(TYPES) * len(self.regions)

    def count_verdicts(self, samples: list[Sample]) -> int:
        """How many verdicts of this kind a server has come to so far."""
        return int(sum(count_verdicts(samples, region, self.to) for region in self.regions))


class Pursuit:
    """One change that is followed: `prepare`, then `run`."""

    def __init__(
        self, watch: Watch, report: Report, change: Change, limits: Limits, diary: Diary
    ) -> None:
        self._watch: Final = watch
        self._report: Final = report
        self._change: Final = change
        self._limits: Final = limits
        self._diary: Final = diary
        self._before: Final[dict[Server, list[Sample]]] = {}
        self._verdicts_s: Final[dict[Server, list[float]]] = {
            server: [] for server in watch.servers
        }
        self._failed: Final[set[Server]] = set()
        self.sightings: Final[dict[tuple[Server, int], Sighting]] = {
            (server, rrtype): Sighting(self._verdicts_s[server])
            for server in watch.servers
            for rrtype in TYPES
        }

    @property
    def slowest(self) -> Sighting:
        """The answer that came last, or one that did not come at all."""
        never = float("inf")
        return max(
            self.sightings.values(), key=lambda one: never if one.answer_s is None else one.answer_s
        )

    async def prepare(self) -> None:
        """Reads what is before the event. Raises LabError."""
        for server in self._watch.servers:
            self._before[server] = await self._watch.read_samples(server)

    async def run(self, event: Callable[[], Awaitable[object]]) -> None:
        """Lets the event happen and sees what follows."""
        await asyncio.gather(
            event(),
            *(self._see_verdicts(server) for server in self._watch.servers),
            *(self._see_answer(server, rrtype) for server, rrtype in self.sightings),
        )
        diary = self._diary
        if await wait_until(lambda: diary.complete, self._limits.caches_s):
            last = diary.last
            self._report.mark(f"the last client has moved: {last}", diary.arrived_s[last])

    async def _see_verdicts(self, server: Server) -> None:
        change, seen_s = self._change, self._verdicts_s[server]

        async def look() -> bool:
            try:
                samples = await self._watch.read_samples(server)
            except LabError:
                return False  # a moment later, perhaps; the deadline speaks of it
            self._see_failed_probe(server, samples)
            before = self._before[server]
            own = count_verdicts(samples, change.of, change.to) - count_verdicts(
                before, change.of, change.to
            )
            while len(seen_s) < min(own, len(TYPES)):
                seen_s.append(self._report.clock())
            count = change.count_verdicts(samples) - change.count_verdicts(before)
            return count >= change.addresses

        if await wait_for(look, self._limits.verdict_s):
            whom = ", ".join(change.regions)
            self._report.mark(f"verdict of {server.name}: {whom} {change.to}, IPv4 and IPv6")

    def _see_failed_probe(self, server: Server, samples: list[Sample]) -> None:
        if self._change.to != "down" or server in self._failed:
            return
        if count_failed_probes(samples) > count_failed_probes(self._before[server]):
            self._failed.add(server)
            self._report.mark(f"a probe of {server.name} has failed")

    async def _see_answer(self, server: Server, rrtype: int) -> None:
        change = self._change

        async def look() -> bool:
            return await self._watch.is_answer(server.dns, change.of, rrtype, change.wanted)

        if not await wait_for(look, self._limits.verdict_s + self._limits.publish_s):
            return
        self.sightings[server, rrtype].answer_s = self._report.clock()
        missing = [one for one in self.sightings.values() if one.answer_s is None]
        which = f"{TYPES[rrtype]} of {server.name} sends {change.of}'s clients to {change.wanted}"
        if len(missing) == len(self.sightings) - 1:
            self._report.mark(f"the first new answer: {which}")
        if not missing:
            self._report.mark(f"the last new answer: {which}")
