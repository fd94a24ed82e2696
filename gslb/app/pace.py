"""What of health changes by time alone: ramps after a recovery, and the shares of loaded pools.

Knows: since when an address is back, which loads were reported, when the next step is due. Refuses
to know: the laws of both (core/ramp.py, core/shed.py), timers. Invariant: kept by names, so that a
reload neither restarts a ramp nor forgets a share; nothing here outgrows the configuration.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from gslb.core.check import Target
from gslb.core.health import Health, Slot, with_ramps, with_shares
from gslb.core.policy import FAMILIES, Family, Pool
from gslb.core.ramp import FULL, next_step_s, ramp_percent
from gslb.core.shed import FORGET_S, next_share, target_share
from gslb.core.world import Plan
from gslb.observe.log import INFO, WARNING, event

Place = tuple[str, str, Family]  # pool, endpoint, family
NEVER = float("-inf")
Loads = Mapping[Target, tuple[float, float]]


@dataclass(slots=True)
class Load:
    """A pool's load: the last one told and when, the share in percent, when that steps next."""

    share: int
    due: float
    value: float | None = None
    at: float = NEVER
    is_new: bool = False  # since the last step
    probed_at: float = NEVER  # the newest of what probes found
    least: int = FULL  # the smallest share since it had all


class Pace:
    """Times are of `clock`, in monotonic seconds; `loads` are those that probes found."""

    def __init__(self, clock: Callable[[], float], loads: Loads) -> None:
        self._clock = clock
        self._found = loads
        self._back: dict[Place, float] = {}
        self._ramp_due = math.inf  # the next step of any of them, or before it
        self._loads: dict[str, Load] = {}
        self._slots: dict[Place, tuple[Slot, float]] = {}  # with the ramp of their pool
        self._ramped: tuple[Pool, ...] = ()
        self._pools: dict[str, tuple[Pool, tuple[Target, ...]]] = {}  # those that shed

    def follow(self, plan: Plan) -> None:
        """A plan's ramps and sheds are looked after from now on; those of gone pools are not."""
        pools = plan.config.pools
        self._slots = {
            (pool.name, endpoint.name, family): (Slot(pool.index, index, family), pool.ramp_s)
            for pool in pools
            if pool.ramp_s
            for index, endpoint in enumerate(pool.endpoints)
            for family in FAMILIES
            if endpoint.address(family) is not None
        }
        self._ramped = tuple(pool for pool in pools if pool.ramp_s)
        self._back = {place: at for place, at in self._back.items() if place in self._slots}
        shedding: dict[int, list[Target]] = {pool.index: [] for pool in pools if pool.shed}
        for target, slots in plan.targets.items() if shedding else ():
            for index in {slot.pool for slot in slots}:
                if index in shedding:
                    shedding[index].append(target)
        self._pools = {pools[index].name: (pools[index], tuple(t)) for index, t in shedding.items()}
        now = self._clock()
        self._loads = {name: self._loads.get(name) or Load(FULL, now) for name in self._pools}

    def see(self, before: Health, after: Health) -> Health:
        """Begins the ramps of addresses that are usable again; what climbs already does so in
        `step` only: verdicts come by the hundred."""
        now = self._clock()
        begun: list[Place] = []
        for pool in self._ramped:
            was, now_is = before.pools[pool.index], after.pools[pool.index]
            for family in FAMILIES if was is not now_is else ():
                pairs = zip(was.of(family), now_is.of(family), strict=True)
                for number, (old, new) in enumerate(pairs):
                    if old is new:  # of thousands nearly all
                        continue
                    place = (pool.name, pool.endpoints[number].name, family)
                    if not new.usable(1):
                        self._back.pop(place, None)
                    elif not old.usable(1):
                        self._back[place] = now
                        begun.append(place)
        return self._ramp(after, begun) if begun else after

    def step(self, health: Health) -> Health:
        """Ramps and shares as of now."""
        now = self._clock()
        for name, load in self._loads.items():
            if now >= load.due:
                self._shed(name, load, now)
        indexes = {self._pools[name][0].index: load.share for name, load in self._loads.items()}
        self._ramp_due = math.inf
        return self._ramp(with_shares(health, indexes), tuple(self._back))

    def next_due(self) -> float | None:
        """When something changes next, None if nothing does."""
        dues = [load.due for load in self._loads.values()]
        if self._back:
            dues.append(self._ramp_due)
        return min(dues, default=None)

    # ---- loads ------------------------------------------------------------------------

    def report(self, pool: str, value: float) -> None:
        """A pool's load, told by somebody. Raises ValueError if the pool sheds nothing."""
        if pool not in self._loads:
            raise ValueError(f'pool "{pool}" has no "shed": its load changes nothing')
        load = self._loads[pool]
        load.value, load.at, load.is_new = value, self._clock(), True

    def load_of(self, pool: str) -> float | None:
        """The last load that is known of a pool."""
        known = self._loads.get(pool)
        return None if known is None else known.value

    def share_of(self, pool: str) -> int:
        """The percentage of answers to which a pool is available by its load."""
        known = self._loads.get(pool)
        return FULL if known is None else known.share

    def _shed(self, name: str, load: Load, now: float) -> None:
        pool, targets = self._pools[name]
        assert pool.shed is not None, "only pools that shed are here"
        found = [self._found[target] for target in targets if target in self._found]
        fresh = [value for value, at in found if at > load.probed_at]
        load.probed_at = max((at for _, at in found), default=NEVER)
        if fresh and load.probed_at > load.at:
            load.value, load.at, load.is_new = sum(fresh) / len(fresh), load.probed_at, True
        before = load.share
        if load.is_new:
            load.share = next_share(before, load.value, pool.shed)
        elif now - load.at > FORGET_S:
            load.share = next_share(before, None, pool.shed)
        load.is_new, load.due = False, now + pool.shed.interval_s
        load.least = min(load.least, load.share)
        if (before == FULL) != (load.share == FULL):
            self._tell(pool, load, before)
        if load.share == FULL:
            load.least = FULL

    def _tell(self, pool: Pool, load: Load, before: int) -> None:
        """The first step and the last one; of those between, the words say how far they go."""
        known = "no report" if load.value is None else f"load {load.value:.2f}"
        if self._clock() - load.at > FORGET_S:
            known = f"no report for {FORGET_S / 60:g} min"
        sheds = load.share < FULL
        what = f"it has all again, the least was {load.least} %"
        if sheds and load.value is not None and pool.shed is not None:
            what = f"on its way to {target_share(load.value, pool.shed)} % of its answers"
        event(
            "overload",
            level=WARNING if sheds else INFO,
            object=f"pool/{pool.name}",
            **{"from": f"{before} %"},
            to=f"{load.share} %",
            why=f"{known}: {what}",
        )

    # ---- ramps ------------------------------------------------------------------------

    def _ramp(self, health: Health, places: Iterable[Place]) -> Health:
        return with_ramps(health, dict(self._percents(places)))

    def _percents(self, places: Iterable[Place]) -> Iterator[tuple[Slot, int]]:
        """The percentages of addresses on a ramp; those at its end leave it."""
        now = self._clock()
        for place in places:
            at = self._back[place]
            slot, ramp_s = self._slots[place]
            step_s = next_step_s(now - at, ramp_s)
            if step_s is None:
                del self._back[place]
            else:
                self._ramp_due = min(self._ramp_due, at + step_s)
            yield slot, ramp_percent(now - at, ramp_s)
