"""One name server, asked again and again whether it answers or not: what did it ever say?

Knows: how often it is asked, which answers it gave and when. Refuses to know: why it may be
silent. Invariant: every answer is kept as it came, so that a wrong one among a thousand is seen;
a question that is not answered keeps no other one from being asked.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from gslb.lab.change import TYPES
from gslb.lab.site import page_address, subnet
from gslb.lab.stub import NameServer, NoAnswer, Patience, Question, ask
from gslb.lab.world import NAME

STEP_S: Final = 0.02
ONCE: Final = Patience(tries=1, timeout_s=0.5)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, on the loop's clock; `rrtype` is what was asked for."""

    at_s: float
    rrtype: int
    addresses: tuple[str, ...]


@dataclass(slots=True)
class Vigil:
    """Asks `server` as clients of `region` do, IPv4 and IPv6 in turn. Get it with `keep_vigil`."""

    server: NameServer
    region: str
    asked: int = 0
    answers: list[Answer] = field(default_factory=list)

    async def run(self) -> None:
        """Asks until cancelled, and waits for no answer before the next question."""
        async with asyncio.TaskGroup() as group:
            for rrtype in itertools.cycle(TYPES):
                self.asked += 1
                group.create_task(self._ask(rrtype))
                await asyncio.sleep(STEP_S)

    async def _ask(self, rrtype: int) -> None:
        question = Question(NAME, rrtype, subnet=subnet(self.region))
        try:
            reply = await ask(self.server, question, ONCE)
        except NoAnswer:
            return
        now_s = asyncio.get_running_loop().time()
        self.answers.append(Answer(now_s, rrtype, reply.addresses))

    def first_s(self, since_s: float) -> float | None:
        """When both families had an answer, of those that came from `since_s` on."""
        firsts: dict[int, float] = {}
        for answer in self.answers:
            if answer.at_s >= since_s:
                firsts.setdefault(answer.rrtype, answer.at_s)
        return max(firsts.values()) if len(firsts) == len(TYPES) else None

    def find_sent_to(self, regions: Collection[str]) -> list[Answer]:
        """The answers with an address of one of the regions."""
        addresses = {page_address(region, rrtype) for region in regions for rrtype in TYPES}
        return [answer for answer in self.answers if not addresses.isdisjoint(answer.addresses)]

    def find_other_than(self, region: str) -> list[Answer]:
        """The answers that are not the one address of that region."""
        return [
            answer
            for answer in self.answers
            if answer.addresses != (page_address(region, answer.rrtype),)
        ]


@asynccontextmanager
async def keep_vigil(server: NameServer, region: str) -> AsyncIterator[Vigil]:
    """A vigil that goes on for as long as the block does."""
    vigil = Vigil(server, region)
    task = asyncio.create_task(vigil.run())
    try:
        yield vigil
    finally:
        task.cancel()
        await asyncio.wait([task])
