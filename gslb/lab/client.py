"""A simulated client: resolves the name, fetches a page from the address it got, again and again.

Knows: what a visit is and how it can fail. Refuses to know: how an answer was chosen.
Invariant: every visit is reported once, kept or lost.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import ClientSession

from gslb.lab.city import City
from gslb.lab.page import fetch_page
from gslb.lab.resolver import NoAnswer, Resolver
from gslb.lab.world import NAME

PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Visit:
    """One attempt to get the page. `at_s`: the loop's clock when it ended.

    `city`: the client's name. `region`: the region whose address it had, "" if it had none.
    `failure`: why the page did not come, "" if it came.
    """

    at_s: float
    city: str
    region: str
    failure: str


Observe = Callable[[Visit], None]


@dataclass(slots=True)
class Census:
    """Who is where, and what was lost. Regions are named; "" stands for "no answer"."""

    region_of: dict[str, str] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)

    def observe(self, visit: Visit) -> None:
        """Counts a visit."""
        self.region_of[visit.city] = visit.region
        self.requests[visit.region] += 1
        if visit.failure:
            self.lost[visit.region] += 1

    def clients_on(self, region: str) -> int:
        """How many clients last had this region's address."""
        return sum(1 for where in self.region_of.values() if where == region)


@dataclass(frozen=True, slots=True)
class Client:
    """A client in a city. `places`: address → (region's name, URL of its page).

    `name` is what its visits are known by, `asks` what it resolves. `every_s`: it visits so often
    however long a visit takes, as many people together do; 0: it rests PAUSE_S after each.
    """

    city: City
    resolver: Resolver
    session: ClientSession
    places: Mapping[str, tuple[str, str]]
    observe: Observe
    name: str
    asks: str = NAME
    every_s: float = 0.0

    async def run(self, start_after_s: float) -> None:
        """Visits until cancelled. Clients start one after the other, not all at once."""
        await asyncio.sleep(start_after_s)
        clock = asyncio.get_running_loop().time
        due_s = clock()
        while True:
            self.observe(await self.visit())
            due_s += self.every_s
            await asyncio.sleep(due_s - clock() if self.every_s else PAUSE_S)

    async def visit(self) -> Visit:
        """Resolves, fetches, and says how it went."""
        now = asyncio.get_running_loop().time
        try:
            addresses = await self.resolver.resolve(self.asks, self.city.client)
        except NoAnswer as error:
            return Visit(now(), self.name, "", f"no answer: {error}")
        name, url = self.places.get(addresses[0] if addresses else "", ("", ""))
        if not url:
            return Visit(now(), self.name, "", f"no page at {', '.join(addresses)}")
        page = await fetch_page(self.session, url)
        failure = page.failure
        if not failure and page.text != name:
            failure = f"the page of {page.text!r}"
        return Visit(now(), self.name, name, failure)
