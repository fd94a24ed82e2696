"""Verdicts of calculated checks, from those of their members (health.md, Checks).

Knows: how members are counted, which formulas a change can reach, and in which order they are
settled. Refuses to know: who probes, who keeps the verdicts. Invariant: pure; a change costs the
formulas that it can reach and no others; each is settled once, after all that it counts.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from gslb.core.check import Target
from gslb.core.formula import Formula, Links, PoolOf
from gslb.core.health import Health, State, standing
from gslb.core.policy import FAMILIES
from gslb.core.target import with_verdicts
from gslb.core.trail import TargetHealth, Trail, Transition
from gslb.core.world import Plan

MOST_NAMED = 10  # members that a reason names
_OPPOSITE = {State.UP: State.DOWN, State.DOWN: State.UP, State.UNKNOWN: State.UNKNOWN}

Verdicts = Callable[[Target], TargetHealth | None]


@dataclass(frozen=True, slots=True)
class Conclusion:
    """A calculated target's verdict; `why` counts: "1 of 3 up, 2 needed: web down"."""

    health: TargetHealth
    why: str


@dataclass(frozen=True, slots=True)
class Settlement:
    """`health` with what was concluded; `changed` holds the targets whose verdict, `flip_s` or
    reason is another one, in the order in which they follow from each other."""

    health: Health
    changed: Mapping[Target, Conclusion]


@dataclass(frozen=True, slots=True)
class _Count:
    """One member as it counts."""

    state: State
    flip_s: float | None
    what: str  # empty if it is up


def links_of(formulas: Mapping[Target, Formula]) -> Links:
    """Who counts what: `Plan.links`."""
    targets: dict[Target, list[Target]] = {}
    pools: dict[int, list[Target]] = {}
    for target, formula in formulas.items():
        for member in dict.fromkeys(formula.members):
            if isinstance(member, PoolOf):
                pools.setdefault(member.pool, []).append(target)
            else:
                targets.setdefault(member, []).append(target)
    return Links(
        {member: tuple(counting) for member, counting in targets.items()},
        {index: tuple(counting) for index, counting in pools.items()},
    )


def dependents(
    plan: Plan, targets: Iterable[Target], pools: Iterable[int] = ()
) -> tuple[Target, ...]:
    """The calculated targets that count any of these, each once; not what counts those."""
    links = plan.links
    found = dict.fromkeys(
        counting for target in targets for counting in links.targets.get(target, ())
    )
    found |= dict.fromkeys(counting for pool in pools for counting in links.pools.get(pool, ()))
    return tuple(found)


def settle(
    plan: Plan,
    before: Health | None,
    health: Health,
    changed: Iterable[Target],
    verdicts: Verdicts,
    known: Mapping[Target, Conclusion],
) -> Settlement:
    """What calculated checks say after a change.

    `before` is the health that was settled last, None to settle everything (a new plan);
    `health` has the verdicts of `changed` (probed and reported targets) in it. `verdicts` tells
    what the prober knows of a target, `known` what was concluded so far.
    """
    work = _Work(plan, health, verdicts, known)
    if before is None:
        work.add(plan.formulas)
    else:
        work.follow(before, changed, plan.links.pools)
    while work.queue:
        work.step()
    return Settlement(work.health, work.changed)


def conclude(trail: Trail | None, conclusion: Conclusion, at: float) -> Trail:
    """The trail of a calculated target: its reasons are the count behind its state."""
    state = conclusion.health.state
    if trail is None:
        trail = Trail(since=at)
    evidence = () if state is State.UP else (conclusion.why,)
    if state is trail.state:
        return replace(trail, evidence=evidence, failures=int(state is State.DOWN))
    return Trail(
        since=at,
        state=state,
        failures=int(state is State.DOWN),
        evidence=evidence,
        transition=Transition(at, trail.state, state, (conclusion.why,)),
    )


class _Work:
    """One settlement while it is made."""

    def __init__(
        self, plan: Plan, health: Health, verdicts: Verdicts, known: Mapping[Target, Conclusion]
    ) -> None:
        self.health = health
        self.changed: dict[Target, Conclusion] = {}
        self.queue: list[tuple[int, Target]] = []
        self._queued: set[Target] = set()
        self._plan = plan
        self._verdicts = verdicts
        self._known = known

    def add(self, targets: Iterable[Target]) -> None:
        """These have to be settled."""
        formulas = self._plan.formulas
        for target in targets:
            if target not in self._queued:
                self._queued.add(target)
                heapq.heappush(self.queue, (formulas[target].place, target))

    def follow(self, before: Health, targets: Iterable[Target], pools: Iterable[int]) -> None:
        """These targets have another verdict, and these pools may count otherwise than before."""
        moved = [pool for pool in pools if self._counts_otherwise(pool, before)]
        self.add(dependents(self._plan, targets, moved))

    def _counts_otherwise(self, index: int, before: Health) -> bool:
        if before.pools[index] is self.health.pools[index]:
            return False
        return any(
            _of_pool(member, self._plan, before) != _of_pool(member, self._plan, self.health)
            for member in (PoolOf(index, family) for family in FAMILIES)
        )

    def step(self) -> None:
        """Settle the first one."""
        _, target = heapq.heappop(self.queue)
        conclusion = _conclude(self._plan.formulas[target], self._count)
        before = self.health
        # Also where nothing is new: the health of a new plan has not heard of it yet.
        self.health = with_verdicts(before, self._plan.targets, {target: conclusion.health})
        is_new = conclusion != self._known.get(target)
        if is_new:
            self.changed[target] = conclusion
        if is_new or before is not self.health:
            touched = {slot.pool for slot in self._plan.targets.get(target, ())}
            self.follow(before, (target,), touched & self._plan.links.pools.keys())

    def _count(self, member: Target | PoolOf) -> _Count:
        if isinstance(member, PoolOf):
            return _of_pool(member, self._plan, self.health)
        concluded = self.changed.get(member) or self._known.get(member)
        found = concluded.health if concluded is not None else self._verdicts(member)
        if found is None or found.state is State.UNKNOWN:
            flip_s = None if found is None else found.flip_s
            return _Count(State.UNKNOWN, flip_s, f"{member.check} unknown")
        what = "" if found.state is State.UP else f"{member.check} down"
        return _Count(found.state, found.flip_s, what)


def _of_pool(member: PoolOf, plan: Plan, health: Health) -> _Count:
    """A pool's availability, overrides included; its flip is the earliest of its addresses."""
    pool, of_pool = plan.config.pools[member.pool], health.pools[member.pool]
    is_available = standing(pool, of_pool, member.family, 1).available
    flips = [
        address.flip_s
        for address in of_pool.of(member.family)
        if address.flip_s is not None
        and not address.forced
        and (address.state is State.DOWN) is not is_available
    ]
    state = State.UP if is_available else State.DOWN
    what = "" if is_available else f"pool {pool.name} unavailable"
    return _Count(state, min(flips, default=None), what)


def _conclude(formula: Formula, count: Callable[[Target | PoolOf], _Count]) -> Conclusion:
    counts = [count(member) for member in formula.members]
    ups = sum(each.state is State.UP for each in counts)
    unknown = sum(each.state is State.UNKNOWN for each in counts)
    need = formula.need
    if ups >= need:
        state = State.UP
        flip_s = _flip(counts, ups - need + 1, (State.UP,))
    elif ups + unknown < need:
        state = State.DOWN
        flip_s = _flip(counts, need - ups - unknown, (State.DOWN,))
    else:
        state = State.UNKNOWN
        flip_s = _flip(counts, ups + unknown - need + 1, (State.UP, State.UNKNOWN))
    others = [each.what for each in counts if each.what]
    why = f"{ups} of {len(counts)} up, {need} needed"
    if others:
        more = len(others) - MOST_NAMED
        named = ", ".join(others[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        why = f"{why}: {named}"
    if formula.invert:
        state, why = _OPPOSITE[state], f"inverted: {why}"
    return Conclusion(TargetHealth(state, flip_s, None), why)


def _flip(counts: Iterable[_Count], number: int, states: tuple[State, ...]) -> float | None:
    """When the verdict could flip: when that many members in these states have."""
    flips = sorted(
        each.flip_s for each in counts if each.flip_s is not None and each.state in states
    )
    return flips[number - 1] if len(flips) >= number else None
