"""What a drill sees of the containers: the clients' visits, the servers' figures and answers.

Knows: /visits, /metrics, DNS. Refuses to know: what was broken. Invariant: no visit is missed
or seen twice, or `find_gaps` names the client; what cannot be read is said, never guessed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import ClientError, ClientSession

from gslb.lab.diary import Diary, Note
from gslb.lab.failure import explain_error
from gslb.lab.metric import Sample, parse_samples
from gslb.lab.site import DWELLERS, SERVERS, Dweller, Server, page_address, region_at, subnet, track
from gslb.lab.stub import NameServer, NoAnswer, Patience, Question, ask
from gslb.lab.world import NAME, LabError

LOOK_S: Final = 0.2
FROM_NOW: Final = 10**15 - 1  # more visits than any client will make
# A direct question is asked again soon enough; what matters is when the answer was there.
ONCE: Final = Patience(tries=1, timeout_s=0.5)


@dataclass(slots=True)
class Watch:
    """Reads visits into the diary that is open. `token`: what the servers' /metrics ask for.

    `session` has a short time limit: who does not answer must not hold up the rest.
    """

    session: ClientSession
    token: str
    dwellers: tuple[Dweller, ...] = DWELLERS
    servers: tuple[Server, ...] = SERVERS
    diary: Diary | None = None
    _next: dict[str, int] = field(default_factory=dict)
    _gaps: list[str] = field(default_factory=list)
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self) -> None:
        """Reads the clients' visits until cancelled."""
        while True:
            await self.catch_up()
            await asyncio.sleep(LOOK_S)

    async def open_diary(self, expected: dict[str, str]) -> Diary:
        """A new act: what no act before has seen goes into a diary of its own. Raises LabError."""
        self._gaps.clear()
        # It is there before anything is read: what ended between two acts is not nobody's.
        diary = self.diary = Diary(expected)
        for name, why in (await self.catch_up()).items():
            raise LabError(f"{name} does not tell of its visits: {why}")
        return diary

    async def catch_up(self) -> dict[str, str]:
        """Reads what is new from every client; who could not be read, and why."""
        async with self._reading:  # two readers at once would both take the same visits
            whys = await asyncio.gather(*(self._read_visits(one) for one in self.dwellers))
        return {one.name: why for one, why in zip(self.dwellers, whys, strict=True) if why}

    async def find_gaps(self) -> str:
        """Why visits may be missing from the diary that is open; "" if it is whole."""
        unread = await self.catch_up()
        return "; ".join([*self._gaps, *(f"{name}: {why}" for name, why in unread.items())])

    async def _read_visits(self, dweller: Dweller) -> str:
        """Why the visits could not be read; "" if they were."""
        after = self._next.get(dweller.name, FROM_NOW)
        try:
            async with self.session.get(dweller.visits_url, params={"after": after}) as response:
                if response.status != 200:
                    return f"status {response.status}"
                page = await response.json()
            numbers = [int(visit["n"]) for visit in page["visits"]]
            notes = [parse_visit(dweller.name, visit) for visit in page["visits"]]
            self._next[dweller.name] = int(page["next"])
        except (ClientError, OSError) as error:
            return explain_error(error)
        except (ValueError, TypeError, KeyError) as error:
            return f"its visits cannot be read: {error!r}"
        # The first reading is of no visit: what was before the drill is none of its business.
        count = self._next[dweller.name]
        whole = count >= after and numbers == list(range(after + 1, count + 1))
        if after != FROM_NOW and not whole:
            self._gaps.append(f"{dweller.name}: not every visit after number {after} is there")
        for note in notes:
            if self.diary is not None:
                self.diary.observe(note)
        return ""

    async def read_samples(self, server: Server) -> list[Sample]:
        """A server's figures. Raises LabError if it does not give them."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = f"{server.control_url}/metrics"
        try:
            async with self.session.get(url, headers=headers) as response:
                text = await response.text()
        except (ClientError, OSError) as error:
            raise LabError(f"{server.name} gives no figures: {explain_error(error)}") from None
        if response.status != 200:
            raise LabError(f"{server.name} gives no figures: status {response.status} at {url}")
        return parse_samples(text)

    async def is_answer(self, server: NameServer, region: str, rrtype: int, wanted: str) -> bool:
        """True if clients of a region are now sent to `wanted`, asked for past every cache."""
        try:
            reply = await ask(server, Question(NAME, rrtype, subnet=subnet(region)), ONCE)
        except NoAnswer:
            return False
        return reply.addresses == (page_address(wanted, rrtype),)


def parse_visit(name: str, visit: Mapping[str, str | float]) -> Note:
    """A visit as a client tells of it. Raises KeyError, ValueError or TypeError."""
    who = track(name, int(visit["family"]))
    # A client learns from a page whose address it is, so of one that never came it cannot tell.
    region = str(visit["region"]) or region_at(str(visit["address"]))
    return Note(float(visit["at_s"]), who, region, str(visit["failure"]))
