"""What of the probers' findings a restart begins with, and how that is kept meanwhile.

Knows: which of what is remembered still counts (health.md, Start), and how old a report was when
it was last looked at: no report could come while no server ran, so that time is not silence.
Refuses to know: how a state comes about, when it is kept because it changed (herald.py). Invariant:
what was held down is held, and what was silent goes on being so; nobody gets a new `ttl` by a
restart.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from itertools import islice

from gslb.control.state import StateStore
from gslb.core.check import Target
from gslb.core.health import State
from gslb.core.kept import Kept, keep, recall
from gslb.core.trail import Trail
from gslb.core.world import Plan
from gslb.probe.monitor import Monitor

LOOK_S = 10.0  # so much a server that is killed forgives, and its memory may be older
A_TURN = 500  # targets that are looked at without a pause for answers

_log = logging.getLogger(__name__)


class Recall:
    """`plan` is whose targets are watched. `clock` is monotonic, `wall` gives Unix seconds."""

    def __init__(
        self,
        monitor: Monitor,
        store: StateStore,
        plan: Callable[[], Plan],
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._monitor = monitor
        self._store = store
        self._plan = plan
        self._clock, self._wall = clock, wall
        self._heard: dict[Target, float] = {}  # before the restart; monotonic seconds
        self._looking: asyncio.Task[None] | None = None

    def take_up(self, kept: Iterable[Kept]) -> Mapping[Target, Trail]:
        """What is remembered and not too old is where the prober begins; the rest is forgotten."""
        plan, now, wall = self._plan(), self._clock(), self._wall()
        oldest = wall - plan.config.settings.probe.state_max_age_s
        fresh = tuple(each for each in kept if each.seen_at >= oldest)
        self._store.forget_health(each.target for each in fresh if each.target in plan.targets)
        self._heard = {
            each.target: now - each.silent_s for each in fresh if each.silent_s is not None
        }
        trails = {each.target: recall(each, now, wall) for each in fresh}
        self._monitor.remember(trails, self._heard)
        return trails

    def begin(self) -> None:
        """What a killed server would have to know is kept from now on."""
        self._looking = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        """What is known now is what a start finds."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await self._look()

    async def _look_on(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:  # nobody looks at this task: a defect would end it in silence
                _log.exception("the age of reports is not kept; tried again in %g s", LOOK_S)
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        """Keeps that what is known is still so, and for how long no report has come, for each
        target that is up by one."""
        plan, wall = self._plan(), self._wall()
        self._store.keep_alive(wall)
        reported = {name for name, check in plan.config.checks.items() if check.type == "push"}
        rest = iter(plan.targets if reported else ())
        while some := tuple(islice(rest, A_TURN)):
            now = self._clock()
            self._store.keep_health(
                keep(target, trail, now, wall, silent_s)
                for target in some
                if target.check in reported
                and (trail := self._monitor.trail_of(target)) is not None
                and (silent_s := self._silent_s(target, trail)) is not None
            )
            await asyncio.sleep(0)

    def _silent_s(self, target: Target, trail: Trail) -> float | None:
        if trail.state is not State.UP:
            return None
        last = trail.good_since + trail.good_s if trail.successes else self._heard.get(target)
        return None if last is None else max(0.0, self._clock() - last)
