"""An outlook without sockets: what reports and time make of a pool's health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from gslb.app.outlook import Outlook
from gslb.control.state import StateStore
from gslb.core.calculated import links_of
from gslb.core.check import Check, Target
from gslb.core.health import Health, State
from gslb.core.override import Override
from gslb.core.target import formulas_of, targets_of
from gslb.core.trail import Result
from gslb.core.world import Plan

from sample import POOLS, make_world

TARGET = Target("web", "192.0.2.10", 0)
CHECKS = {"web": Check("web", "push", 0)}
NOON = 1_800_000_000.0
A_DAY_S = 86400.0


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Scene:
    """An outlook on the sample's first pool, checked by reports, with a wall clock of its own."""

    def __init__(self, folder: Path, checks: Mapping[str, Check] = CHECKS, **more: object) -> None:
        self.wall, self.clock = Clock(NOON), Clock(1000.0)
        self.store = StateStore(folder)
        self.plan = plan(checks, **more)
        self.published: list[Health] = []
        self.outlook = Outlook(self.plan, self.store, self.published.append, self.clock, self.wall)

    async def begin(self) -> None:
        await self.outlook.begin(await self.store.open())

    async def end(self) -> None:
        await self.outlook.stop()
        await self.store.close()

    async def report(self, ok: bool) -> None:
        """A verdict comes in."""
        self.outlook.monitor.report(TARGET, Result(ok, "" if ok else "slow", None, self.clock()))
        await turns()

    async def put(self, **more: object) -> None:
        now = self.wall()
        drain = Override("pool", POOLS[0].name, "drain", "ann", "disk", now, now)
        await self.outlook.hand.put(replace(drain, **more), "")  # type: ignore[arg-type]

    @property
    def state(self) -> State:
        return self.outlook.health.pools[0].ipv4[0].state

    @property
    def forced(self) -> str:
        return self.outlook.health.pools[0].ipv4[0].forced


def plan(checks: Mapping[str, Check], **more: object) -> Plan:
    """The sample, whose first pool has one endpoint and a push check."""
    endpoint = replace(POOLS[0].endpoints[0], ipv6=None)
    pool = replace(POOLS[0], check="web", endpoints=(endpoint,))
    pools = (replace(pool, **more), *POOLS[1:])  # type: ignore[arg-type]
    config = replace(make_world().plan.config, pools=pools, checks=checks)
    targets = targets_of(config)
    formulas = formulas_of(config, targets)
    links = links_of(formulas)
    return replace(
        make_world().plan, config=config, targets=targets, formulas=formulas, links=links
    )


async def turns() -> None:
    """What is due now is done."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)


def play(
    folder: Path,
    scene: Callable[[Scene], Awaitable[None]],
    checks: Mapping[str, Check] = CHECKS,
    **more: object,
) -> None:
    async def run() -> None:
        made = Scene(folder, checks, **more)
        await made.begin()
        try:
            await scene(made)
        finally:
            await made.end()

    asyncio.run(run())
