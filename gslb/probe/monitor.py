"""Who is probed when, and what comes of it: the prober's only moving part.

Knows: the schedule, how many probes run at once, settling at the start (health.md, Start), what
is reported instead of probed. Refuses to know: pools, endpoints, the World: it speaks of targets,
and `app` maps them; what a result means (judge.py). Invariant: one task per running probe and one
timer for all that wait; a turn of the loop starts at most a few probes, so that answers are never
held up; a verdict is published in the turn after the one in which its probe ended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Set
from dataclasses import replace
from typing import Literal

from gslb.core.blindness import silent_after_s
from gslb.core.check import PROBED, Check, Target
from gslb.core.health import State
from gslb.core.setting import ProbeSettings
from gslb.core.trail import RAPID_S, Result, TargetHealth, Trail, health_of
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.judge import Judge, Publish, Ways
from gslb.probe.push import Reports
from gslb.probe.schedule import Schedule
from gslb.probe.tally import Tally
from gslb.probe.tls import Contexts
from gslb.probe.witness import Witnesses

Ending = Literal["ok", "failed", "error"]
Trails = Mapping[Target, Trail]
Heard = Mapping[Target, float]

# Starting a probe costs some 60 us. Few are due in a usual turn; this bounds what follows a
# pause or a settling, yet lets a machine that gives us only 50 turns a second keep up.
STARTS_A_TURN = 32
SETTLE_GAP_S = 1.0
SETTLE_SHUFFLE_S = 0.001
A_TURN = 500  # targets that are taken up without a pause for other work
COMPLAINT_GAP_S = 60.0

log = logging.getLogger(__name__)


class Monitor:
    """Probes targets and publishes what changed.

    `publish` is called in the loop with the targets whose state, `flip_s` or evidence changed;
    `datacenters_up` counts those that have an address that is up; `tell_blind` gets why we are
    blind, and "" when it ends.
    `probes` counts by (check, ending): "error" is our own fault and changes no trail.
    `seconds` by check: how long probes took; `lateness`: behind schedule; `waits` counts the
    probes that were due and got a place only when another ended (`probe.concurrency`).
    `faults` say why this machine itself cannot probe a target, as of its last probe.
    """

    def __init__(
        self,
        publish: Publish,
        settings: ProbeSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        settle_gap_s: float = SETTLE_GAP_S,
        datacenters_up: Callable[[], int] = lambda: 0,
        tell_blind: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.probes: Counter[tuple[str, Ending]] = Counter()
        self.seconds: defaultdict[str, Tally] = defaultdict(Tally)
        self.lateness = Tally()
        self.waits = 0
        self.faults: dict[Target, str] = {}
        self._settings = settings
        self._clock = clock
        self._settle_gap_s = settle_gap_s
        self._contexts = Contexts()
        self._means = Means(settings.allow, self._contexts, clock)
        self._tell_blind = tell_blind
        ways = Ways(
            self._ask,
            lambda: self._witnesses.ask(),
            self._calm,
            self._see_or_not,
            datacenters_up,
            self._late_s,
        )
        self._judge = Judge(publish, ways, clock)
        self._checks: Mapping[str, Check] = {}
        self._trails = self._judge.trails
        self._draw = draw
        self._schedule = Schedule(draw)
        self._reports = Reports(self._expire, clock)
        self._witnesses = Witnesses(self._judge.hear_witness, clock)
        self._before: tuple[Trails, Heard] = {}, {}
        self._running: dict[asyncio.Task[None], Target] = {}
        self._started = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0  # in the loop's time
        self._settling: dict[Target, int] = {}  # probes left to each
        self._settled = asyncio.Event()
        self._complained_at = float("-inf")
        self._latest = (float("-inf"), 0.0)  # the latest start of late: when, and how late

    # ---------- what is watched ----------

    def remember(self, trails: Trails, heard: Heard | None = None) -> None:
        """With what is watched next begins, and needs no settling: a trail each, and when a report
        last came (else: now), in monotonic seconds."""
        self._before = trails, heard or {}

    async def watch(
        self,
        checks: Mapping[str, Check],
        targets: Iterable[Target],
        settings: ProbeSettings | None = None,
    ) -> None:
        """Replace the set of targets; `settings` None keeps those there are.

        Kept targets keep trail and time, new ones begin as unknown, gone ones stop at once.
        Targets of a check that is not enabled, or calculated, are not watched. Many take
        several turns.
        """
        wanted = {
            target
            async for target in _in_turns(targets)
            if checks[target.check].enabled and checks[target.check].type != "calculated"
        }
        if settings is not None:
            self._settings = settings
            self._means = replace(self._means, allow=settings.allow)
        self._contexts.forget()
        turned = {
            target
            for target in self._trails.keys() & wanted
            if (self._checks[target.check].type == "push") != (checks[target.check].type == "push")
        }
        self._forget(self._trails.keys() - (wanted - turned))
        self._checks = self._judge.checks = checks
        now = self._clock()
        async for target in _in_turns(wanted):
            self._begin(target, checks[target.check], now)
        self._before = {}, {}
        self._judge.expect(silent_after_s(checks[name] for name in {t.check for t in wanted}))
        if self._witnesses.watch(self._settings.witness, self._means):
            self._judge.see_by(self._witnesses.latest)
        if self._started:
            self._witnesses.start()
        self._arm()

    def _begin(self, target: Target, check: Check, now: float) -> None:
        trails, heard = self._before
        is_new = target not in self._trails
        if is_new:
            self._trails[target] = trails.get(target) or Trail(now)
        if check.type == "push":
            self._reports.watch(target, check.ttl_s)
            if is_new and self._trails[target].state is not State.UNKNOWN:
                self._reports.note(target, heard.get(target, now))
        else:
            self._schedule.add(target, check.interval_s, check.jitter, now)

    def report(self, target: Target, result: Result) -> None:
        """A `push` check's report, which counts at once. What is not watched is ignored."""
        if target in self._trails and self._checks[target.check].type == "push":
            self._reports.note(target, result.at)
            self._judge.believe(target, result)

    @property
    def loads(self) -> Mapping[Target, tuple[float, float]]:
        """The last load that a target reported (1.0 is full), and when in monotonic seconds."""
        return self._judge.loads

    @property
    def certificates(self) -> Mapping[Target, float]:
        """When a target's certificate expires, in Unix seconds."""
        return self._judge.certificates

    @property
    def blind(self) -> str:
        """Why we are blind (health.md, Blindness), "" if we are not."""
        return self._judge.blind

    def snapshot(self) -> Mapping[Target, Trail]:
        """Every target's trail, as of now."""
        return dict(self._trails)

    def trail_of(self, target: Target) -> Trail | None:
        """A target's trail, None if it is not watched."""
        return self._trails.get(target)

    def verdict(self, target: Target) -> TargetHealth | None:
        """A target's health, None if it is not watched."""
        trail = self._trails.get(target)
        return None if trail is None else health_of(trail, self._checks[target.check])

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
        self._judge.begin()
        self._witnesses.start()
        self._arm()

    async def settle(self, limit_s: float) -> None:
        """Probe every target without a verdict up to `fall` times, 1 s apart.

        Returns when each has one or has used up its probes, at the latest after `limit_s`;
        what was found has been published then. If nothing at all has answered since the start,
        everything stays as it is until something does.
        """
        now = self._clock()
        async for target in _in_turns(tuple(self._trails)):
            check = self._checks[target.check]
            if self._trails[target].state is State.UNKNOWN and check.type in PROBED:
                self._settling[target] = check.fall
                # In no order: dead ones of one name must not take all slots before the others.
                self._schedule.hasten(target, now - self._draw() * SETTLE_SHUFFLE_S)
        self._arm()
        if self._settling:
            self._settled.clear()
            try:
                async with asyncio.timeout(limit_s):
                    await self._settled.wait()
            except TimeoutError:
                self._settling.clear()
            self._judge.conclude_start()
        self._judge.flush()

    async def stop(self) -> None:
        """Cancel every probe and wait until their sockets are closed; nothing more is published."""
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running = list(self._running)
        for task in running:
            task.cancel()
        self._reports.stop()
        await asyncio.gather(
            *running, self._witnesses.stop(), self._judge.stop(), return_exceptions=True
        )
        await self._means.searcher.stop()
        await asyncio.sleep(0)  # aborted transports close their sockets in the next turn

    def _forget(self, gone: Set[Target]) -> None:
        for target in gone:
            self._judge.forget(target)
            self._schedule.remove(target)
            self._reports.forget(target)
            self._settling.pop(target, None)
            self.faults.pop(target, None)
        self._calm()
        for task, target in self._running.items():
            if target in gone:
                task.cancel()

    # ---------- what a judge asks for ----------

    def _ask(self, target: Target) -> None:
        if target in self._trails and self._checks[target.check].type in PROBED:
            self._schedule.summon(target, self._clock())
            self._arm()

    def _late_s(self) -> float:
        """How far behind schedule who waits is, or who has begun since a success had to come."""
        now, (at, late_s) = self._clock(), self._latest
        due = self._schedule.next_due()
        waits_s = 0.0 if due is None else max(0.0, now - due)
        return max(waits_s, late_s if now - at <= self._judge.silent_s else 0.0)

    def _calm(self) -> None:
        """Settling is over when all have had their probes, and none waits for a proof."""
        if not self._judge.is_in_doubt:
            self._schedule.dismiss()
            if not self._settling:
                self._settled.set()

    def _see_or_not(self, why: str) -> None:
        if not why:
            self._reports.renew(self._clock())
        self._tell_blind(why)

    def _expire(self, target: Target, silent_s: float) -> None:
        self._judge.miss(
            target, Result(False, f"no report for {silent_s:.0f} s", None, self._clock())
        )

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
            late_s = now - due
            if target not in self._settling:  # those are due at once, however many they are
                self.lateness.add(late_s)
            if late_s >= self._latest[1] or now - self._latest[0] > self._judge.silent_s:
                self._latest = now, late_s
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
            self.faults[target] = error.strerror or str(error)
            self._complain(error)
        except Exception:
            log.exception("the probe of %s by check %s broke", target.address, target.check)
        now = self._clock()
        self.seconds[target.check].add(now - started)
        ending: Ending = "error" if result is None else "ok" if result.ok else "failed"
        self.probes[target.check, ending] += 1
        try:
            if result is None:
                self._judge.break_off(target)
            else:
                self.faults.pop(target, None)
                self._judge.hear(target, result, started)
        finally:  # a defect there must not make this its last probe
            self._schedule.renew(target, now, self._wait(target, check, result))

    def _end(self, task: asyncio.Task[None]) -> None:
        """A slot is free. Not part of `_run`, which a task cancelled early never enters."""
        is_full = len(self._running) >= self._settings.concurrency
        del self._running[task]
        due = self._schedule.next_due()
        self.waits += is_full and due is not None and due < self._clock()
        self._arm()

    def _wait(self, target: Target, check: Check, result: Result | None) -> float | None:
        """Seconds from this probe's start to the next one, None for its place on the grid."""
        if self._settling:
            left = self._settling.pop(target, 0) - 1
            if left > 0 and self._trails[target].state is State.UNKNOWN:
                self._settling[target] = left
                return self._settle_gap_s
            self._calm()
        if not check.rapid or result is None or result.ok:
            return None
        if self.blind or self._judge.is_doubted(target):
            return None
        if self._trails[target].state is State.DOWN:
            return None
        return min(RAPID_S, check.interval_s)

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
