"""What the World's health is made of, from the prober's verdicts to what answers read.

Knows: in which order things follow from each other: verdicts, the operator's hand, calculated
checks, manual resume, ramps and shares. Refuses to know: how any of them works, who is told
(herald.py), what is remembered (recall.py); zones, sockets. Invariant: whatever changed, health is
put together by one function, `_follow`, and published by one call in the loop that answers.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import islice

from gslb.app.hand import Hand
from gslb.app.herald import Herald
from gslb.app.pace import Pace
from gslb.app.recall import Recall
from gslb.control.state import StateStore
from gslb.core.calculated import Conclusion, conclude, settle
from gslb.core.check import Target
from gslb.core.health import AddressHealth, Health, PoolHealth, State, all_unknown, standing
from gslb.core.kept import Memory
from gslb.core.override import Override, next_change, with_overrides
from gslb.core.policy import FAMILIES, Pool
from gslb.core.target import with_verdicts
from gslb.core.trail import TargetHealth, Trail
from gslb.core.world import Plan
from gslb.probe.monitor import Monitor

A_TURN = 500  # targets whose health is taken over without a pause for answers
STEP_GAP_S = 1.0  # between two looks at ramps and shares
LONGEST_WAIT_S = 30.0  # the wall clock may be set: what depends on it is looked at so often

_log = logging.getLogger(__name__)


class Outlook:
    """Owns the prober and the Health. `publish` is called with each new Health of the plan."""

    def __init__(
        self,
        plan: Plan,
        store: StateStore,
        publish: Callable[[Health], None],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._herald = Herald(store, clock, wall)
        self.transitions = self._herald.transitions
        self.health = self._published = all_unknown(plan.config.pools)
        self.hand = Hand(store, self._review)
        self.monitor = Monitor(
            self._hear,
            plan.config.settings.probe,
            clock=clock,
            datacenters_up=self._count_datacenters,
            tell_blind=self._herald.tell_blind,
        )
        self._recall = Recall(self.monitor, store, lambda: self._probed, clock, wall)
        self.pace = Pace(clock, self.monitor.loads)
        self._plan = plan
        self._probed = plan  # what the prober looks after; at a reload the coming plan
        self._store = store
        self._publish = publish
        self._clock, self._wall = clock, wall
        self._calculated: dict[Target, Trail] = {}
        self._concluded: dict[Target, Conclusion] = {}
        self._missed: dict[Target, TargetHealth] | None = None  # heard while surveying
        self._by_hand: tuple[Pool, ...] = ()  # those with `manual_resume`
        self._released: set[str] = set()  # of these, while they go on failing
        self._stepped_at = float("-inf")  # by the monotonic clock
        self._forced_at = wall()  # the overrides are in the health as of then
        self._timer: asyncio.TimerHandle | None = None

    # ---- life -------------------------------------------------------------------------

    async def begin(self, memory: Memory) -> None:
        """Takes up what is remembered, begins to probe, and waits for first verdicts
        (health.md, Start); what is down is known to be before this returns."""
        plan, settings = self._plan, self._plan.config.settings.probe
        self.hand.restore(memory.overrides)
        self.hand.expire(self._wall())
        self._herald.take_up(self._recall.take_up(memory.health))
        await self.monitor.watch(plan.config.checks, plan.targets)
        self.take_over(plan, await self.survey(plan))
        self._publish(self.health)
        self.monitor.start()
        await self.monitor.settle(settings.settle_s)
        self._recall.begin()

    async def stop(self) -> None:
        """Probes no more; what is known now is what a start finds."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.monitor.stop()
        await self._recall.stop()

    def restore(self, memory: Memory) -> None:
        """The overrides that another server of this state directory left behind."""
        self.hand.restore(memory.overrides)
        self._review()

    async def expect(self, plan: Plan) -> None:
        """Probes what a coming plan needs, and waits for first verdicts; the old one goes on."""
        settings = plan.config.settings.probe
        self._probed = plan
        await self.monitor.watch(plan.config.checks, plan.targets, settings)
        await self.monitor.settle(settings.settle_s)
        self._herald.forget(plan.targets)

    async def survey(self, plan: Plan) -> Health:
        """The health of a plan's pools by all that is known at the end of this.

        Until `take_over`, which has to follow in the same turn, the old plan's goes on.
        """
        missed: dict[Target, TargetHealth] = {}
        self._missed = missed
        health = all_unknown(plan.config.pools)
        rest = iter(plan.targets)
        while some := tuple(islice(rest, A_TURN)):
            health = with_verdicts(health, plan.targets, self.monitor.health(some))
            await asyncio.sleep(0)
        self._missed = None
        return with_verdicts(health, plan.targets, missed)

    def take_over(self, plan: Plan, health: Health) -> None:
        """Everything is about this plan from now on; `health` is what `survey` found."""
        self._plan = plan
        self.pace.follow(plan)
        self._by_hand = tuple(pool for pool in plan.config.pools if pool.manual_resume)
        self._concluded = {}
        self._calculated = {
            target: trail for target, trail in self._calculated.items() if target in plan.formulas
        }
        self.health = self._follow(None, self.pace.step(self._force(health)))
        self._published = self.health  # whoever calls this does that, with the plan
        self._arm()

    def follow(self, plan: Plan) -> None:
        """The same configuration with another map: health stays as it is."""
        self._plan = self._probed = plan
        self.pace.follow(plan)

    # ---- what changes -----------------------------------------------------------------

    def _hear(self, changed: Mapping[Target, TargetHealth]) -> None:
        """Verdicts make a new Health at once."""
        # Not `trail_of`: what a coming plan probes may be what the present one calculates.
        self._tell(self._probed, changed, self.monitor.trail_of)
        if self._missed is not None:
            self._missed.update(changed)
        health = with_verdicts(self.health, self._plan.targets, changed)
        self._adopt(self._follow(self.health, health, changed))

    def _review(self) -> None:
        """The hand has moved, or time has passed."""
        health = self._force(self.health)
        self._stepped_at = self._clock()
        self._adopt(self._follow(self.health, self.pace.step(health)))

    def _tick(self) -> None:
        """Time has passed. A defect must not be the end of it: nothing else would end a drain."""
        try:
            self._review()
        except Exception:
            _log.exception("the health stays as it is; looked at again in %g s", LONGEST_WAIT_S)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(LONGEST_WAIT_S, self._tick)

    def _force(self, health: Health) -> Health:
        """Health as the overrides want it now; those whose time has come end."""
        self._forced_at = now = self._wall()
        self.hand.expire(now)
        return with_overrides(self._plan.config, health, self.hand.overrides, now)

    def _adopt(self, health: Health) -> None:
        self.health = health
        if health is not self._published:  # what could not be published is tried again
            self._publish(health)
            self._published = health
        self._arm()

    def _follow(
        self, before: Health | None, health: Health, changed: Iterable[Target] = ()
    ) -> Health:
        """All that follows from a change of health or of some targets' verdicts; `before` None:
        from a new plan."""
        health = self._calculate(before, health, changed)
        while self._hold(before, health):
            without = health
            health = self._calculate(without, self._force(without), ())
        return health if before is None else self.pace.see(before, health)

    def _calculate(
        self, before: Health | None, health: Health, changed: Iterable[Target]
    ) -> Health:
        if not self._plan.formulas:
            return health
        settled = settle(self._plan, before, health, changed, self.monitor.verdict, self._concluded)
        self._concluded |= settled.changed
        now = self._clock()
        for target, conclusion in settled.changed.items():
            trail = conclude(self._calculated.get(target), conclusion, now)
            self._calculated[target] = trail
        self._tell(self._plan, settled.changed, self._calculated.get)
        return settled.health

    def _hold(self, before: Health | None, health: Health) -> bool:
        """Drains the pools with `manual_resume` that have failed; True if there are any."""
        is_any = False
        for pool in self._by_hand:
            now_is = health.pools[pool.index]
            if before is not None and now_is is before.pools[pool.index]:
                continue
            if not has_failed(pool, now_is):
                self._released.discard(pool.name)
            elif self.hand.find("pool", pool.name) is None and pool.name not in self._released:
                self.hand.hold(pool, self._wall())
                is_any = True
        return is_any

    def _arm(self) -> None:
        """Has `_review` called when something changes by time alone."""
        dues = []
        # Not after now: what came due since then, while verdicts came in, would never happen.
        change = next_change(self.hand.overrides, self._forced_at)
        if change is not None:
            dues.append(min(change - self._wall(), LONGEST_WAIT_S))
        step = self.pace.next_due()
        if step is not None:
            # Thousands that came back one after the other climb together.
            dues.append(max(step, self._stepped_at + STEP_GAP_S) - self._clock())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if dues:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, min(dues)), self._tick)

    async def clear(self, override: Override, who: str, why: str, source: str) -> bool:
        """Ends an override; True when that is kept. A pool with `manual_resume` that still fails
        may come back by itself then: somebody has said so."""
        if override.kind == "pool":
            self._released |= {
                pool.name
                for pool in self._by_hand
                if pool.name == override.name and has_failed(pool, self.health.pools[pool.index])
            }
        return await self.hand.drop(override, who, why, source)

    # ---- what is told -----------------------------------------------------------------

    def trail_of(self, target: Target) -> Trail | None:
        """All that is known of a target, probed, reported or calculated."""
        return self._calculated.get(target) or self.monitor.trail_of(target)

    @property
    def blind_since(self) -> float | None:
        """Since when the prober is blind (Unix seconds), None if it sees."""
        return self._herald.blind_since

    def look_at_certificates(self) -> None:
        """Tells of those that expire soon."""
        self._herald.tell_expiries(self.monitor.certificates)

    def _tell(
        self, plan: Plan, changed: Iterable[Target], trail_of: Callable[[Target], Trail | None]
    ) -> None:
        trails = ((target, trail_of(target)) for target in changed)
        self._herald.tell(plan, {target: trail for target, trail in trails if trail is not None})

    def _count_datacenters(self) -> int:
        """How many data centers have an address that is up, as far as a probe that can fail when
        we are blind says so: those that only report would make one that dies look like a cut."""
        config = self._plan.config
        return len(
            {
                pool.datacenter.name
                for pool in config.pools
                if pool.datacenter is not None
                and pool.check is not None
                and (check := config.checks.get(pool.check)) is not None
                and check.type != "push"
                and not check.invert
                and _has_up(self.health.pools[pool.index])
            }
        )


def has_failed(pool: Pool, health: PoolHealth) -> bool:
    """True if the probes alone leave a pool available in no family that it has."""
    bare = replace(health, ipv4=_unforced(health.ipv4), ipv6=_unforced(health.ipv6))
    families = [family for family in FAMILIES if pool.has(family)]
    return not any(standing(pool, bare, family, 1).available for family in families)


def _unforced(addresses: tuple[AddressHealth, ...]) -> tuple[AddressHealth, ...]:
    return tuple(replace(each, forced="") if each.forced else each for each in addresses)


def _has_up(health: PoolHealth) -> bool:
    return any(each.state is State.UP for each in (*health.ipv4, *health.ipv6))
