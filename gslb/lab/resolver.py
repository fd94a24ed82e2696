"""A caching resolver of the lab: asks the server with the client's subnet, and remembers.

Knows: the cache, who waits for what. Refuses to know: delegation (it is told its server).
Invariant: one query is on the way per (name, subnet), however many clients wait for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from gslb.lab.cache import Cache
from gslb.lab.stub import NameServer, Patience, Question, Reply, ask
from gslb.lab.stub import NoAnswer as NoAnswer  # who asks a resolver has to expect it

SOURCE_LENGTH: Final = 24


class Resolver:
    """One resolver; `clock` gives seconds that never go back. Close it with `close`.

    `hold_s`: it keeps every answer for so long at least, whatever its TTL, as some do.
    """

    def __init__(
        self,
        server: NameServer,
        clock: Callable[[], float],
        patience: Patience | None = None,
        hold_s: int = 0,
    ) -> None:
        self._server: Final = server
        self._hold_s: Final = hold_s
        self._patience: Final = patience
        self._cache: Final = Cache(clock)
        self._asking: Final[dict[tuple[str, IPv4Network], asyncio.Task[Reply]]] = {}

    def close(self) -> None:
        """Gives up what is on the way."""
        for task in self._asking.values():
            task.cancel()

    async def resolve(self, name: str, client: IPv4Address) -> tuple[str, ...]:
        """A client's answer, from the cache or the server. Raises NoAnswer."""
        kept = self._cache.find(name, client)
        if kept is not None:
            return kept
        subnet = IPv4Network((client, SOURCE_LENGTH), strict=False)
        task = self._asking.get((name, subnet))
        if task is None:
            task = asyncio.create_task(self._fill(name, subnet))
            self._asking[name, subnet] = task
            task.add_done_callback(lambda _: self._asking.pop((name, subnet)))
        return (await asyncio.shield(task)).addresses

    async def _fill(self, name: str, subnet: IPv4Network) -> Reply:
        reply = await self.ask(name, subnet)
        self.keep(name, subnet, reply)
        return reply

    def keep(self, name: str, subnet: IPv4Network, reply: Reply, age_s: float = 0.0) -> None:
        """Remembers an answer as if it had come `age_s` seconds ago."""
        ttl_s = max(reply.ttl_s, self._hold_s)
        self._cache.keep(name, subnet, reply.scope, reply.addresses, ttl_s - age_s)

    async def ask(self, name: str, subnet: IPv4Network) -> Reply:
        """Asks the server past the cache. Raises NoAnswer."""
        return await ask(self._server, Question(name, subnet=subnet), self._patience)
