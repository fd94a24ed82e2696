"""Who is probed when, and what comes of it: the prober's only moving part.

Knows: the schedule, the trails, how many probes run at once, settling at the start
(health.md, Start). Refuses to know: pools, endpoints, the World: it speaks of targets, and
`app` maps them. Invariant: one task per running probe and one timer for all that wait; a
turn of the loop starts at most a few probes, so that answers are never held up; a verdict
is published in the turn after the one in which its probe ended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Set
from typing import Literal

from gslb.core.check import Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings
from gslb.core.trail import Result, TargetHealth, Trail, health_of, observe
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.schedule import Schedule
from gslb.probe.tally import Tally
from gslb.probe.tls import Contexts

Publish = Callable[[Mapping[Target, TargetHealth]], None]
Ending = Literal["ok", "failed", "error"]

# Starting a probe costs some 60 us. Few are due in a usual turn; this bounds what follows a
# pause or a settling, yet lets a machine that gives us only 50 turns a second keep up.
STARTS_A_TURN = 32
SETTLE_GAP_S = 1.0
A_TURN = 500  # targets that are taken up without a pause for other work
COMPLAINT_GAP_S = 60.0

log = logging.getLogger(__name__)


class Monitor:
    """Probes targets and publishes what changed.

    `publish` is called in the loop with the targets whose state or `flip_s` changed.
    `probes` counts by (check, ending): "error" is our own fault and changes no trail.
    `seconds` by check: how long probes took; `lateness`: behind schedule; `waits` counts the
    probes that were due and got a place only when another ended (`probe.concurrency`).
    """

    def __init__(
        self,
        publish: Publish,
        settings: ProbeSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        settle_gap_s: float = SETTLE_GAP_S,
    ) -> None:
        self.probes: Counter[tuple[str, Ending]] = Counter()
        self.seconds: defaultdict[str, Tally] = defaultdict(Tally)
        self.lateness = Tally()
        self.waits = 0
        self._publish = publish
        self._settings = settings
        self._clock = clock
        self._settle_gap_s = settle_gap_s
        self._contexts = Contexts()
        self._means = Means(settings.allow, self._contexts, clock)
        self._checks: Mapping[str, Check] = {}
        self._trails: dict[Target, Trail] = {}
        self._schedule = Schedule(draw)
        self._running: dict[asyncio.Task[None], Target] = {}
        self._started = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # in the loop's time
        self._changed: dict[Target, TargetHealth] = {}
        self._settling: dict[Target, int] = {}  # probes left to each
        self._settled = asyncio.Event()
        self._complained_at = float("-inf")

    # ---------- what is watched ----------

    async def watch(
        self,
        checks: Mapping[str, Check],
        targets: Iterable[Target],
        settings: ProbeSettings | None = None,
    ) -> None:
        """Replace the set of targets; `settings` None keeps those there are.

        Kept targets keep trail and time, new ones begin as unknown, gone ones stop at once.
        Targets of a check that is not enabled are not probed. Many take several turns.
        """
        wanted = {target async for target in _in_turns(targets) if checks[target.check].enabled}
        if settings is not None:
            self._settings = settings
            self._means = Means(settings.allow, self._contexts, self._clock)
        self._contexts.forget()
        self._checks = checks
        self._forget(self._trails.keys() - wanted)
        now = self._clock()
        async for target in _in_turns(wanted):
            check = checks[target.check]
            if target not in self._trails:
                self._trails[target] = Trail(since=now)
            self._schedule.add(target, check.interval_s, check.jitter, now)
        self._arm()

    def snapshot(self) -> Mapping[Target, Trail]:
        """Every target's trail, as of now."""
        return dict(self._trails)

    def health(self, targets: Iterable[Target]) -> Mapping[Target, TargetHealth]:
        """The health of targets as of now: what a new plan begins with."""
        return {
            target: health_of(self._trails[target], self._checks[target.check])
            for target in targets
            if target in self._trails
        }

    # ---------- life ----------

    def start(self) -> None:
        """Begin to probe; needs a running loop."""
        self._started = True
        self._arm()

    async def settle(self, limit_s: float) -> None:
        """Probe every target without a verdict up to `fall` times, 1 s apart.

        Returns when each has one or has used up its probes, at the latest after `limit_s`;
        what was found has been published then.
        """
        now = self._clock()
        async for target in _in_turns(tuple(self._trails)):
            if self._trails[target].state is State.UNKNOWN:
                self._settling[target] = self._checks[target.check].fall
                self._schedule.hasten(target, now)
        self._arm()
        if self._settling:
            self._settled.clear()
            try:
                async with asyncio.timeout(limit_s):
                    await self._settled.wait()
            except TimeoutError:
                self._settling.clear()
        self._flush()

    async def stop(self) -> None:
        """Cancel every probe and wait until their sockets are closed; nothing more is published."""
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self._changed.clear()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn

    def _forget(self, gone: Set[Target]) -> None:
        for target in gone:
            del self._trails[target]
            self._schedule.remove(target)
            self._changed.pop(target, None)
            self._settling.pop(target, None)
        if not self._settling:
            self._settled.set()
        for task, target in self._running.items():
            if target in gone:
                task.cancel()

    # ---------- turns ----------

    def _arm(self) -> None:
        """Have `_turn` called when the next target is due, if a probe may start at all."""
        if not self._started or len(self._running) >= self._settings.concurrency:
            return
        due = self._schedule.next_due()
        if due is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + max(0.0, due - self._clock())
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        self._timer, self._timer_at = loop.call_at(at, self._turn), at

    def _turn(self) -> None:
        """Start some of the probes that are due."""
        self._timer = None
        now = self._clock()
        free = self._settings.concurrency - len(self._running)
        for target, due in self._schedule.take(now, min(STARTS_A_TURN, free)):
            if target not in self._settling:  # those are due at once, however many they are
                self.lateness.add(now - due)
            probe = self._run(target, self._checks[target.check])
            task = asyncio.get_running_loop().create_task(probe)
            self._running[task] = target
            task.add_done_callback(self._end)
        self._arm()

    async def _run(self, target: Target, check: Check) -> None:
        started = self._clock()
        result: Result | None = None
        try:
            result = await attempt(check, target, self._means)
        except OSError as error:
            self._complain(error)
        except Exception:
            log.exception("the probe of %s by check %s broke", target.address, target.check)
        now = self._clock()
        self.seconds[target.check].add(now - started)
        ending: Ending = "error" if result is None else "ok" if result.ok else "failed"
        self.probes[target.check, ending] += 1
        if result is not None:
            self._observe(target, result)
        self._schedule.renew(target, now, self._settle_wait(target))

    def _end(self, task: asyncio.Task[None]) -> None:
        """A slot is free. Not part of `_run`, which a task cancelled early never enters."""
        is_full = len(self._running) >= self._settings.concurrency
        del self._running[task]
        due = self._schedule.next_due()
        self.waits += is_full and due is not None and due < self._clock()
        self._arm()

    def _observe(self, target: Target, result: Result) -> None:
        check = self._checks[target.check]
        before = self._trails[target]
        after = observe(before, result, check.fall, check.rise)
        self._trails[target] = after
        was, now = health_of(before, check), health_of(after, check)
        if (was.state, was.flip_s) == (now.state, now.flip_s):
            return
        if not self._changed:
            # Results of one turn are published together: a World costs the same for all.
            asyncio.get_running_loop().call_soon(self._flush)
        self._changed[target] = now

    def _flush(self) -> None:
        if self._changed:
            changed, self._changed = self._changed, {}
            self._publish(changed)

    def _settle_wait(self, target: Target) -> float | None:
        """Seconds from this probe's start to the next one while settling, None if done."""
        left = self._settling.pop(target, 0) - 1
        if left > 0 and self._trails[target].state is State.UNKNOWN:
            self._settling[target] = left
            return self._settle_gap_s
        if not self._settling:
            self._settled.set()
        return None

    def _complain(self, error: OSError) -> None:
        """Say that no verdict is possible, at most once a minute."""
        now = self._clock()
        if now - self._complained_at >= COMPLAINT_GAP_S:
            self._complained_at = now
            log.warning("cannot probe, health stays as it is: %s", error)


async def _in_turns(targets: Iterable[Target]) -> AsyncIterator[Target]:
    """The targets, with a pause for other work after every few."""
    for count, target in enumerate(targets, 1):
        yield target
        if not count % A_TURN:
            await asyncio.sleep(0)
