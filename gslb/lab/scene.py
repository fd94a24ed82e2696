"""What an act of the drill in containers works with, and what every act expects.

Knows: the engine, the watch, the report; how a change is followed until everybody has noticed.
Refuses to know: what is broken. Invariant: `restore` puts back all that any act may have
broken, whichever of them was interrupted.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gslb.lab.change import Change, Pursuit
from gslb.lab.diary import Bound, Diary, Limits, expect_none, expect_passage, expect_places
from gslb.lab.engine import Container, Engine, EngineError
from gslb.lab.report import Report
from gslb.lab.resident import EVERY_S
from gslb.lab.watch import Watch

RATE: Final = round(1 / EVERY_S)
# Visits a second of each client over each family (it makes 2): fewer, and no loss says nothing.
SEEN_RATE: Final = 0.5
QUIET_S: Final = 2.0  # how long it is watched that nothing moves any more
# Down: the wait for the next probe and two more, 1.1 s apart at most (jitter), and a timeout:
# 3.8 s. Up: a container's and Python's start and two probes. The rest is for a busy machine.
DOWN_MAX_S: Final = 8.0
UP_MAX_S: Final = 12.0
# An answer follows its verdict within 100 ms; here it is seen through two clocks of 50 ms.
PUBLISH_MAX_S: Final = 1.0
# Beyond the TTL: Unbound's whole seconds, the 250 ms between visits, one that times out.
SLACK_S: Final = 3.0


Event = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Scene:
    """The lab as it was found. `containers` by service; `networks` by Compose's names."""

    engine: Engine
    watch: Watch
    report: Report
    containers: dict[str, Container]
    networks: dict[str, str]
    ttl_s: int
    quiet_s: float = QUIET_S

    def limits(self, to: str) -> Limits:
        """How long a change may take."""
        verdict_s = UP_MAX_S if to == "up" else DOWN_MAX_S
        return Limits(verdict_s, PUBLISH_MAX_S, self.ttl_s, SLACK_S)

    def bound(self, clients: int) -> Bound:
        """What it may cost that so many clients lose their region."""
        return Bound(clients, RATE, self.limits("down"))

    async def follow(
        self, change: Change, what: str, event: Event, expected: dict[str, str]
    ) -> Diary:
        """Lets an event happen, sees its change through, and expects all of it in time."""
        limits = self.limits(change.to)
        diary = await self.watch.open_diary(expected)
        pursuit = Pursuit(self.watch, self.report, change, limits, diary)
        await pursuit.prepare()
        began_s = self.report.mark(what)
        await pursuit.run(event)
        await asyncio.sleep(self.quiet_s)
        await self.expect_whole(change.act, diary)
        expect_passage(self.report, change.act, began_s, pursuit.slowest, diary, limits)
        return diary

    async def expect_whole(self, act: str, diary: Diary) -> None:
        """Every visit of the act was seen."""
        gaps = await self.watch.find_gaps()
        self.report.expect(f"{act}: every visit was seen", not gaps, gaps or f"{len(diary.notes)}")

    async def expect_quiet(self, act: str, diary: Diary, began_s: float) -> None:
        """Everybody's visits went on since `began_s`, where they belong, and none was lost."""
        await self.expect_whole(act, diary)
        least = int(SEEN_RATE * (self.report.clock() - began_s))
        counts = Counter(note.who for note in diary.notes if note.at_s >= began_s)
        who = min(diary.expected, key=lambda one: counts[one])
        self.report.expect(
            f"{act}: every client goes on asking",
            counts[who] >= least,
            f"{counts[who]} visits of {who}, the fewest; at least {least}",
        )
        expect_places(self.report, f"{act}: every client is where it belongs", diary)
        expect_none(self.report, f"{act}: no request is lost", diary.lost)


async def restore(engine: Engine, found: dict[str, Container]) -> list[str]:
    """Puts every container back to how it was found; what was done. Raises EngineError."""
    await engine.settle()
    done: list[str] = []
    # That one cannot be put back is no reason to leave the others as they are.
    for outcome in await asyncio.gather(
        *(_restore_one(engine, one) for one in found.values()), return_exceptions=True
    ):
        if isinstance(outcome, BaseException):
            raise outcome
        done += outcome
    return done


async def _restore_one(engine: Engine, found: Container) -> list[str]:
    now = await engine.inspect(found.id)
    if now is None:
        raise EngineError(f"{found.service} has been removed; `docker-compose up -d` makes it anew")
    done: list[str] = []
    if now.paused:
        await engine.unpause(now)
        done.append(f"{found.service} unpaused")
    for place in found.attachments:
        if now.attachment(place.network) is None:
            await engine.connect(now, place)
            done.append(f"{found.service} connected to {place.network}")
    if not now.running:
        await engine.start(now)
        done.append(f"{found.service} started")
    return done
