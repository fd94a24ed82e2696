"""Everything that runs in the lab, from the first process to the last client.

Knows: in which order things start and stop. Refuses to know: what is shown or expected of
them. Invariant: whatever was started is stopped when the stage is left, in any way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession

from gslb.lab.child import Child, start_child
from gslb.lab.city import City, read_cities
from gslb.lab.client import PAUSE_S, Census, Client, Observe, Visit
from gslb.lab.page import open_session
from gslb.lab.region import Condition
from gslb.lab.resolver import Resolver
from gslb.lab.stub import NameServer
from gslb.lab.world import Region, World


class Stage:
    """The running lab. Make it with `open_stage`."""

    def __init__(self, world: World, folder: Path, session: ClientSession) -> None:
        self.world: Final = world
        self.folder: Final = folder
        self.session: Final = session
        self.cities: Final[tuple[City, ...]] = read_cities()
        self.census: Final = Census()
        self.observers: Final[list[Observe]] = [self.census.observe]
        self.regions: Final[dict[str, Child]] = {}
        self.server: Child | None = None
        self._resolvers: Final[dict[str, Resolver]] = {}
        self._clients: Final[list[asyncio.Task[None]]] = []

    @property
    def config(self) -> Path:
        """The gslb.yaml that the server was started with."""
        return self.folder / "gslb.yaml"

    def resolver_of(self, city: City) -> Resolver:
        """The resolver that a city's client asks."""
        return self._resolvers[city.resolver]

    def region_arguments(self, region: Region) -> list[str]:
        """What `python -m gslb.lab.region` is given for a region."""
        listen = [
            f"{region.address}:{self.world.page_port}",
            f"{region.address}:{region.port}",
            *([f"[::1]:{region.port}"] if self.world.ipv6 else []),
        ]
        return [region.name, *listen]

    async def start(self) -> None:
        """Starts regions, server, resolvers and clients. Raises LabError."""
        await asyncio.gather(*(self.start_region(region) for region in self.world.regions))
        arguments = ["serve", "-c", str(self.config)]
        self.server = await start_child("server", "gslb", arguments, self.folder)
        await self.server.wait_ready()
        clock = asyncio.get_running_loop().time
        for source in sorted({city.resolver for city in self.cities}):
            server = NameServer("127.0.0.1", self.world.server_port, source)
            self._resolvers[source] = Resolver(server, clock)
        places = {r.address: (r.name, self.world.page_url(r.address)) for r in self.world.regions}
        for index, city in enumerate(self.cities):
            client = Client(city, self.resolver_of(city), self.session, places, self._observe)
            delay_s = PAUSE_S * index / len(self.cities)
            self._clients.append(asyncio.create_task(client.run(delay_s)))

    async def start_region(self, region: Region) -> None:
        """Starts a region's process, for the first time or again. Raises LabError."""
        arguments = self.region_arguments(region)
        child = await start_child(region.name, "gslb.lab.region", arguments, self.folder)
        self.regions[region.name] = child
        await child.wait_ready()

    async def stop(self) -> None:
        """Stops everything, clients first."""
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for resolver in self._resolvers.values():
            resolver.close()
        children = [*([self.server] if self.server else []), *self.regions.values()]
        await asyncio.gather(*(child.stop() for child in children))

    async def read_condition(self, region: Region) -> Condition | None:
        """How a region says it is; None if it says nothing."""
        try:
            async with self.session.get(
                f"{self.world.page_url(region.address)}/condition"
            ) as response:
                return Condition(**await response.json())
        except (ClientError, OSError, TimeoutError):
            return None

    async def order(self, region: Region, what: str) -> bool:
        """POSTs `break`, `heal` or `slow?ms=N` to a region; False if nobody took it."""
        try:
            async with self.session.post(
                f"{self.world.page_url(region.address)}/{what}"
            ) as response:
                return response.status == 200
        except (ClientError, OSError, TimeoutError):
            return False

    def _observe(self, visit: Visit) -> None:
        for observe in self.observers:
            observe(visit)


@asynccontextmanager
async def open_stage(world: World, folder: Path) -> AsyncIterator[Stage]:
    """Starts everything; stops everything. The folder holds the world already."""
    async with open_session() as session:
        stage = Stage(world, folder, session)
        try:
            await stage.start()
            yield stage
        finally:
            await stage.stop()
