"""What is up: the health of every endpoint at one instant, and what follows for a pool.

Knows: endpoint states, operator's overrides, availability, panic and ramps per family and
pass (steering.md, Availability). Refuses to know: probes, clocks, files. Invariant: a Health
is never changed; a verdict makes a new one in which only the pools it touched have a
new `version`, so that what was remembered of the others stays good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

from gslb.core.policy import Family, Pool
from gslb.core.ramp import FULL

Forced = Literal["", "up", "down", "drain"]
Pass = Literal[1, 2, 3]


class State(IntEnum):
    """What the probes say; unknown counts as up until the first verdict."""

    UNKNOWN = 0
    UP = 1
    DOWN = 2


@dataclass(frozen=True, slots=True)
class AddressHealth:
    """One address of an endpoint.

    `flip_s`: seconds of probing until this address could change its state (interval times
    probes left), None if it is neither failing nor recovering. `leaving`: a drain with `lead` is
    about to take it out, so its answers are short-lived. `ramp`: the percentage of its weight that
    counts after a recovery (10 to 100).
    """

    state: State = State.UNKNOWN
    forced: Forced = ""
    flip_s: float | None = None
    leaving: bool = False
    ramp: int = 100

    @property
    def taken_out(self) -> bool:
        """True if an operator took it out (drain or down)."""
        return self.forced in ("down", "drain")

    @property
    def offers(self) -> int:
        """The percentage of its weight that counts: all of it if an operator forced it up."""
        return FULL if self.forced == "up" else self.ramp

    def usable(self, which: Pass) -> bool:
        """True if it may be handed out in a pass (steering.md, Nothing available)."""
        if which == 3:
            return True
        if self.taken_out:
            return False
        return which == 2 or self.forced == "up" or self.state is not State.DOWN


HEALTHY = AddressHealth()


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """Health of a pool's endpoints, in their order, per family. Families lacking: HEALTHY.

    `share`: the percentage of answers to which the pool is available by its load (`shed`).
    """

    version: int
    ipv4: tuple[AddressHealth, ...]
    ipv6: tuple[AddressHealth, ...]
    share: int = 100

    def of(self, family: Family) -> tuple[AddressHealth, ...]:
        """The addresses of a family, one per endpoint."""
        return self.ipv4 if family == 4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Health:
    """Health of all pools, by their index in the plan.

    `mark` is another one for each: whoever remembers what followed from a Health keeps its mark, or
    the pools of a Health long gone would stay in memory for every answer that nobody asks for.
    """

    pools: tuple[PoolHealth, ...]
    mark: object = field(default_factory=object, init=False, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Slot:
    """One address in a plan: pool index, endpoint index, family."""

    pool: int
    endpoint: int
    family: Family


def all_unknown(pools: Iterable[Pool]) -> Health:
    """Health before the first verdict: everything unknown, which counts as up."""
    return Health(
        tuple(
            PoolHealth(0, (HEALTHY,) * len(pool.endpoints), (HEALTHY,) * len(pool.endpoints))
            for pool in pools
        )
    )


def with_addresses(health: Health, changes: Mapping[Slot, AddressHealth]) -> Health:
    """A new Health with some addresses replaced; untouched pools keep their version.

    Returns the same object if nothing differs.
    """
    touched: dict[int, dict[Family, dict[int, AddressHealth]]] = {}
    for slot, address in changes.items():
        if health.pools[slot.pool].of(slot.family)[slot.endpoint] != address:
            of_pool = touched.setdefault(slot.pool, {})
            of_pool.setdefault(slot.family, {})[slot.endpoint] = address
    if not touched:
        return health
    pools = list(health.pools)
    for index, families in touched.items():
        pool = pools[index]
        pools[index] = replace(
            pool,
            version=pool.version + 1,
            ipv4=_with(pool.ipv4, families.get(4)),
            ipv6=_with(pool.ipv6, families.get(6)),
        )
    return Health(tuple(pools))


def _with(
    states: tuple[AddressHealth, ...], changes: Mapping[int, AddressHealth] | None
) -> tuple[AddressHealth, ...]:
    if not changes:
        return states
    copy = list(states)
    for index, address in changes.items():
        copy[index] = address
    return tuple(copy)


def with_ramps(health: Health, ramps: Mapping[Slot, int]) -> Health:
    """A new Health with the ramps (percent, 10..100) of some addresses; others keep theirs.

    Returns the same object if nothing differs.
    """
    changes = {}
    for slot, percent in ramps.items():
        address = health.pools[slot.pool].of(slot.family)[slot.endpoint]
        if address.ramp != percent:
            changes[slot] = replace(address, ramp=percent)
    return with_addresses(health, changes)


def with_shares(health: Health, shares: Mapping[int, int]) -> Health:
    """A new Health with the shares (percent, 0..100) of some pools, by index; others keep theirs.

    Returns the same object if nothing differs.
    """
    changed = {i: share for i, share in shares.items() if health.pools[i].share != share}
    if not changed:
        return health
    pools = list(health.pools)
    for index, share in changed.items():
        pools[index] = replace(pools[index], version=pools[index].version + 1, share=share)
    return Health(tuple(pools))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a pool offers for one family in one pass.

    `offered`: (endpoint index, weight) that would be handed out, standby ones with weight 1
    and only when no other is usable; empty if the pool is not available. `why` tells people.
    `ramps`: while something ramps the percentage of each that is offered, else empty; the
    weights are then multiplied by it.
    """

    available: bool
    offered: tuple[tuple[int, int], ...]
    why: str
    ramps: tuple[int, ...] = ()


def standing(pool: Pool, health: PoolHealth, family: Family, which: Pass) -> Standing:
    """Availability of a pool (steering.md, Availability).

    Available when at least `min_healthy` endpoints are usable, counted per family over the
    undrained endpoints of weight > 0, or, when none of those is usable, over the undrained
    standby ones. Passes 2 and 3 hand out whatever is left, so `min_healthy` does not count.

    `panic` hands out all of the group that is in use (those of weight > 0, or standby), except
    what an operator forced down, while the pool is available in pass 1 and more than that share
    of the group is down, by probes or by force. In panic and in passes 2 and 3 nothing ramps.
    """
    states = health.of(family)
    present = [i for i, e in enumerate(pool.endpoints) if e.address(family) is not None]
    if not present:
        return Standing(False, (), f"no IPv{family} address")
    undrained = [i for i in present if which == 3 or states[i].forced != "drain"]
    if not undrained:
        return Standing(False, (), "every endpoint is drained")
    active = [i for i in undrained if pool.endpoints[i].weight > 0]
    standby = [i for i in undrained if pool.endpoints[i].weight == 0]
    up = [i for i in active if states[i].usable(which)]
    group = active
    if not up:
        up, group = [i for i in standby if states[i].usable(which)], standby
    word = "up" if which == 1 else "counted as up"
    if not up:
        return Standing(False, (), f"0 of {len(undrained)} {word}")
    need = 1 if which != 1 else _needed(pool, present, group)
    why = f"{len(up)} of {len(group)} {word}"
    if len(up) < need:
        return Standing(False, (), f"{why}, {need} needed")
    if which == 1:
        if every := _in_panic(pool, states, up, group):
            weighed = tuple((i, pool.endpoints[i].weight or 1) for i in every)
            return Standing(True, weighed, f"{why}, panic: {len(every)} are handed out")
        if ramps := _ramps(states, up):
            weights = [(pool.endpoints[i].weight or 1) * states[i].offers for i in up]
            return Standing(True, tuple(zip(up, weights, strict=True)), why, ramps)
    return Standing(True, tuple((i, pool.endpoints[i].weight or 1) for i in up), why)


def _in_panic(
    pool: Pool, states: Sequence[AddressHealth], up: list[int], group: list[int]
) -> list[int]:
    """What is handed out instead of what is up; empty if there is no panic."""
    if pool.panic is None or (len(group) - len(up)) * 100 <= pool.panic * len(group):
        return []
    every = [i for i in group if not states[i].taken_out]
    return every if len(every) > len(up) else []


def _ramps(states: Sequence[AddressHealth], up: list[int]) -> tuple[int, ...]:
    """The percentage that counts of each; empty if all of each does."""
    if all(states[i].ramp == FULL for i in up):
        return ()
    ramps = tuple(states[i].offers for i in up)
    return ramps if min(ramps) < FULL else ()


def _needed(pool: Pool, present: list[int], group: list[int]) -> int:
    amount = pool.min_healthy
    if amount.percent:
        return amount.of(len(group))
    return amount.of(len(present))
