"""Everything that runs in the lab, from the first process to the last client.

Knows: in which order things start and stop. Refuses to know: what is shown or expected of
them. Invariant: whatever was started is stopped when the stage is left, in any way.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import ClientError, ClientSession

from gslb.lab.child import Child, start_child
from gslb.lab.city import City, read_cities
from gslb.lab.client import PAUSE_S, Census, Client, Observe, Visit
from gslb.lab.gate import Gate
from gslb.lab.page import open_session
from gslb.lab.region import Condition
from gslb.lab.resolver import Resolver
from gslb.lab.stub import NameServer
from gslb.lab.world import STANDARD, Region, Scenery, World


@dataclass(frozen=True, slots=True)
class Plot:
    """What runs on a stage. `scenery`: what its files are.

    `gated`: the regions are probed through gates that can be shut, while pages stay open.
    `clients`: one client for each city; else a drill brings its own.
    """

    scenery: Scenery = STANDARD
    gated: bool = False
    clients: bool = True


class Stage:
    """The running lab. Make it with `open_stage`."""

    def __init__(self, world: World, folder: Path, session: ClientSession, plot: Plot) -> None:
        self.world: Final = world
        self.folder: Final = folder
        self.session: Final = session
        self.plot: Final = plot
        self.witness: Final = Gate((("127.0.0.1", world.witness_port),))
        self.gates: Final[dict[str, Gate]] = (
            {region.name: self._place_gate(region) for region in world.regions}
            if plot.gated
            else {}
        )
        self.cities: Final[tuple[City, ...]] = read_cities()
        self.census: Final = Census()
        self.observers: Final[list[Observe]] = [self.census.observe]
        self.regions: Final[dict[str, Child]] = {}
        self.server: Child | None = None
        self._resolvers: Final[dict[str, Resolver]] = {}
        self._own: Final[list[Resolver]] = []
        self._clients: Final[list[asyncio.Task[None]]] = []

    @property
    def config(self) -> Path:
        """The gslb.yaml that the server was started with."""
        return self.folder / "gslb.yaml"

    @property
    def families(self) -> int:
        """How many addresses a region has, each with its own verdict."""
        return 2 if self.world.ipv6 and self.plot.scenery.dual else 1

    @staticmethod
    def clock() -> float:
        """The loop's clock, in seconds."""
        return asyncio.get_running_loop().time()

    def resolver_of(self, city: City) -> Resolver:
        """The resolver that a city's client asks."""
        return self._resolvers[city.resolver]

    def region_arguments(self, region: Region) -> list[str]:
        """What `python -m gslb.lab.region` is given for a region."""
        probed = [] if self.plot.gated else self._probed_at(region)
        listen = [(region.address, self.world.page_port), *probed]
        return [
            region.name,
            *(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in listen),
        ]

    def _probed_at(self, region: Region) -> list[tuple[str, int]]:
        """Where the server probes a region, on both families."""
        hosts = [region.address, *(["::1"] if self.world.ipv6 else [])]
        return [(host, region.port) for host in hosts]

    def _place_gate(self, region: Region) -> Gate:
        return Gate(tuple(self._probed_at(region)), (region.address, self.world.page_port))

    async def start(self) -> None:
        """Starts witness, regions, server, resolvers and clients. Raises LabError."""
        await self.witness.open()
        for gate in self.gates.values():
            await gate.open()
        await asyncio.gather(*(self.start_region(region) for region in self.world.regions))
        arguments = ["serve", "-c", str(self.config)]
        self.server = await start_child("server", "gslb", arguments, self.folder)
        await self.server.wait_ready()
        clock = asyncio.get_running_loop().time
        for source in sorted({city.resolver for city in self.cities}):
            server = NameServer("127.0.0.1", self.world.server_port, source)
            self._resolvers[source] = Resolver(server, clock)
        for index, city in enumerate(self.cities if self.plot.clients else ()):
            self.add_client(city, self.resolver_of(city), PAUSE_S * index / len(self.cities))

    @property
    def places(self) -> dict[str, tuple[str, str]]:
        """Whose page is at an address: address → (region's name, URL of its page)."""
        return {r.address: (r.name, self.world.page_url(r.address)) for r in self.world.regions}

    def add_client(
        self, city: City, resolver: Resolver, delay_s: float, name: str = "", every_s: float = 0.0
    ) -> None:
        """A client of a city comes on, visiting after `delay_s`. `every_s`: see Client."""
        client = Client(
            city,
            resolver,
            self.session,
            self.places,
            self._observe,
            name=name or city.name,
            asks=self.plot.scenery.name,
            every_s=every_s,
        )
        self._clients.append(asyncio.create_task(client.run(delay_s)))

    def add_resolver(self, city: City, hold_s: int = 0) -> Resolver:
        """A resolver for one client alone, stopped with the stage. `hold_s`: see Resolver."""
        server = NameServer("127.0.0.1", self.world.server_port, city.resolver)
        resolver = Resolver(server, asyncio.get_running_loop().time, hold_s=hold_s)
        self._own.append(resolver)
        return resolver

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
        for resolver in [*self._resolvers.values(), *self._own]:
            resolver.close()
        children = [*([self.server] if self.server else []), *self.regions.values()]
        await asyncio.gather(*(child.stop() for child in children))
        for gate in [*self.gates.values(), self.witness]:
            await gate.shut()

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
        """POSTs `break`, `heal`, `slow?ms=N`, … to a region; False if nobody took it."""
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
async def open_stage(world: World, folder: Path, plot: Plot) -> AsyncIterator[Stage]:
    """Starts everything; stops everything. The folder holds the plot's files already."""
    async with open_session() as session:
        stage = Stage(world, folder, session, plot)
        try:
            await stage.start()
            yield stage
        finally:
            await stage.stop()
