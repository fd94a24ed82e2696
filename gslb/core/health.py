"""What is up: the health of every endpoint at one instant, and what follows for a pool.

Knows: endpoint states, operator's overrides, availability per family and pass
(steering.md, Availability). Refuses to know: probes, clocks, files. Invariant: a Health
is never changed; a verdict makes a new one in which only the pools it touched have a
new `version`, so that what was remembered of the others stays good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from gslb.core.policy import Family, Pool

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
    probes left), None if it is neither failing nor recovering.
    """

    state: State = State.UNKNOWN
    forced: Forced = ""
    flip_s: float | None = None

    @property
    def taken_out(self) -> bool:
        """True if an operator took it out (drain or down)."""
        return self.forced in ("down", "drain")

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
    """Health of a pool's endpoints, in their order, per family. Families lacking: HEALTHY."""

    version: int
    ipv4: tuple[AddressHealth, ...]
    ipv6: tuple[AddressHealth, ...]

    def of(self, family: Family) -> tuple[AddressHealth, ...]:
        """The addresses of a family, one per endpoint."""
        return self.ipv4 if family == 4 else self.ipv6


@dataclass(frozen=True, slots=True)
class Health:
    """Health of all pools, by their index in the plan."""

    pools: tuple[PoolHealth, ...]


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
    pools = list(health.pools)
    for slot, address in changes.items():
        pool = pools[slot.pool]
        current = pool.of(slot.family)
        if current[slot.endpoint] == address:
            continue
        changed = (*current[: slot.endpoint], address, *current[slot.endpoint + 1 :])
        version = health.pools[slot.pool].version + 1
        if slot.family == 4:
            pools[slot.pool] = replace(pool, version=version, ipv4=changed)
        else:
            pools[slot.pool] = replace(pool, version=version, ipv6=changed)
    if all(new is old for new, old in zip(pools, health.pools, strict=True)):
        return health
    return Health(tuple(pools))


@dataclass(frozen=True, slots=True)
class Standing:
    """What a pool offers for one family in one pass.

    `offered`: (endpoint index, weight) that would be handed out, standby ones with weight 1
    and only when no other is usable; empty if the pool is not available. `why` tells people.
    """

    available: bool
    offered: tuple[tuple[int, int], ...]
    why: str


def standing(pool: Pool, health: PoolHealth, family: Family, which: Pass) -> Standing:
    """Availability of a pool (steering.md, Availability).

    Available when at least `min_healthy` endpoints are usable, counted per family over the
    undrained endpoints of weight > 0, or, when none of those is usable, over the undrained
    standby ones. Passes 2 and 3 hand out whatever is left, so `min_healthy` does not count.
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
    return Standing(True, tuple((i, pool.endpoints[i].weight or 1) for i in up), why)


def _needed(pool: Pool, present: list[int], group: list[int]) -> int:
    amount = pool.min_healthy
    if amount.percent:
        return amount.of(len(group))
    return amount.of(len(present))
