"""Whoever a monitor tells of its verdicts, and the checks that its tests share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings
from gslb.core.trail import TargetHealth

from endpoint import ALLOWED

SETTINGS = ProbeSettings(allow=ALLOWED)
NEVER_S = 3600.0  # an interval in which nothing happens but settling
QUICK = Check("web", "http", 80, interval_s=0.02, timeout_s=1.0)
RARE = replace(QUICK, interval_s=NEVER_S)


class Audience:
    """Remembers what was published, and lets a test wait for it."""

    def __init__(self) -> None:
        self.told: list[tuple[Target, TargetHealth]] = []
        self._news = asyncio.Event()

    def hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        assert changed
        self.told.extend(changed.items())
        self._news.set()

    def of(self, target: Target) -> list[tuple[State, float | None]]:
        """States and `flip_s` published of a target, in order."""
        return [(health.state, health.flip_s) for told, health in self.told if told == target]

    async def until(self, target: Target, state: State) -> None:
        """Wait until this is the latest state published of the target."""
        while not (said := self.of(target)) or said[-1][0] is not state:
            self._news.clear()
            await self._news.wait()


def at(port: int) -> Target:
    return Target("web", "127.0.0.1", port)
