"""One who watches clients and reports what they see of each region: a push check's other end.

Knows: visits, its own too, the share of them that failed, PUT /v1/checks. Refuses to know: health
pages. Invariant: a region that nobody is sent to any more is still tried, by the reporter alone,
or nobody would notice that it is well again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Final

from gslb.lab.client import Visit
from gslb.lab.page import fetch_page
from gslb.lab.stage import Stage
from gslb.lab.switchboard import Switchboard
from gslb.lab.world import LabError, Region

OVER_S: Final = 5.0  # visits of the last so many seconds count
EVERY_S: Final = 1.0  # how often it reports
TRIES_A_SECOND: Final = 4  # of its own, at each region
LEAST: Final = 10  # visits that say something
BAD: Final = 0.2  # share of failures from which on a region is reported down
GOOD: Final = 0.05  # and up to which it is reported up again


@dataclass(slots=True)
class Opinion:
    """What was seen of one region lately: (when, whether it failed)."""

    visits: deque[tuple[float, bool]] = field(default_factory=deque)
    state: str = "up"

    def add(self, at_s: float, failed: bool) -> None:
        """One more visit."""
        self.visits.append((at_s, failed))

    def judge(self, now_s: float) -> tuple[str, str]:
        """`up` or `down`, and why. Between the two shares it stays what it was."""
        while self.visits and self.visits[0][0] < now_s - OVER_S:
            self.visits.popleft()
        count = len(self.visits)
        failed = sum(1 for _, one in self.visits if one)
        if count >= LEAST and failed >= BAD * count:
            self.state = "down"
        elif count >= LEAST and failed <= GOOD * count:
            self.state = "up"
        return self.state, f"{failed} of {count} visits failed"


class Reporter:
    """Watches a stage; run it as a task."""

    def __init__(self, stage: Stage, check: str) -> None:
        self._stage: Final = stage
        self._check: Final = check
        self._board: Final = Switchboard(stage)
        self._clock: Final = asyncio.get_running_loop().time
        self.opinions: Final = {region.name: Opinion() for region in stage.world.regions}
        self.refusal = ""  # the last report that the server did not take, and why

    def observe(self, visit: Visit) -> None:
        """A client's visit."""
        if visit.region in self.opinions:
            self.opinions[visit.region].add(visit.at_s, bool(visit.failure))

    async def run(self) -> None:
        """Tries every region and reports, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for region in self._stage.world.regions:
                tasks.create_task(self._try(region))
                tasks.create_task(self._report(region))

    async def _try(self, region: Region) -> None:
        url = self._stage.world.page_url(region.address)
        while True:
            page = await fetch_page(self._stage.session, url)
            failed = bool(page.failure) or page.text != region.name
            self.opinions[region.name].add(self._clock(), failed)
            await asyncio.sleep(1 / TRIES_A_SECOND)

    async def _report(self, region: Region) -> None:
        while True:
            state, why = self.opinions[region.name].judge(self._clock())
            try:
                await self._board.report(self._check, region.address, state, why)
            except LabError as error:
                self.refusal = str(error)
            await asyncio.sleep(EVERY_S)
