"""The operator's hand: up, down or drain on a data center, a pool or an endpoint (health.md).

Knows: what an override is, which of several counts for an address, when one begins and ends.
Refuses to know: who asks, where overrides are kept. Invariant: pure; the narrowest wins, whatever
the order in which they were set.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final, Literal

from gslb.core.health import AddressHealth, Forced, Health, PoolHealth, Slot, State
from gslb.core.policy import FAMILIES, Endpoint, Family, Pool, pools_below
from gslb.core.world import Configuration

ObjectKind = Literal["datacenter", "pool", "endpoint"]
ForcedState = Literal["up", "down", "drain"]
SERVER = "server"  # who sets the drain of `manual_resume`
Settled = tuple[Forced, bool]  # forced, leaving
NOTHING: Final = "nothing here has this name"


@dataclass(frozen=True, slots=True)
class Override:
    """One override; there is at most one for each (kind, name). Times are Unix seconds.

    `at` is when it was set, `effective_at` when it takes effect (`at` plus `lead`), `until` when
    it ends by itself (None: never).
    """

    kind: ObjectKind
    name: str
    state: ForcedState
    who: str
    why: str
    at: float
    effective_at: float
    until: float | None = None


def is_current(override: Override, now: float) -> bool:
    """False once it has expired; True as well while its lead is not over. `now`: Unix seconds."""
    return override.until is None or now < override.until


def next_change(overrides: Iterable[Override], now: float) -> float | None:
    """When what they do changes by itself: a lead is over, one expires. Unix seconds after `now`,
    None for never."""
    times = (
        at
        for override in overrides
        if is_current(override, now)
        for at in (override.effective_at, override.until)
        if at is not None and at > now
    )
    return min(times, default=None)


def with_overrides(
    config: Configuration, health: Health, overrides: Iterable[Override], now: float
) -> Health:
    """Health with every address as the overrides want it at `now` (Unix seconds), and free where
    none applies.

    The narrowest that is in effect forces: endpoint over pool over data center; of several that
    name one endpoint (its name, its addresses) the one set last. One whose lead is not over only
    makes the address `leaving`, and only if it will win then. Pools in which nothing differs keep
    their version; the same object is returned if no pool does.
    """
    named = _Named([override for override in overrides if is_current(override, now)])
    pools = list(health.pools)
    for pool, states in zip(config.pools, health.pools, strict=True):
        broad, narrow = named.of_pool(pool), named.of_endpoints(pool)
        usual = _settle(broad, now)
        single = {index: _settle((*found, *broad), now) for index, found in narrow.items()}
        ipv4, ipv6 = (_forced(pool, states, family, usual, single) for family in FAMILIES)
        if ipv4 is not states.ipv4 or ipv6 is not states.ipv6:
            version = states.version + 1
            pools[pool.index] = replace(states, version=version, ipv4=ipv4, ipv6=ipv6)
    if all(new is old for new, old in zip(pools, health.pools, strict=True)):
        return health
    return Health(tuple(pools))


def _forced(
    pool: Pool, states: PoolHealth, family: Family, usual: Settled, single: Mapping[int, Settled]
) -> tuple[AddressHealth, ...]:
    """The addresses of a family as they are to be; the same tuple if they are so already."""
    before = states.of(family)
    after: list[AddressHealth] = []
    made: dict[tuple[int, Settled], AddressHealth] = {}  # most are alike, and most are one object
    for index, address in enumerate(before):
        wanted = single.get(index, usual)
        forced, leaving = wanted
        if address.forced == forced and address.leaving == leaving:
            continue
        if pool.endpoints[index].address(family) is None:
            continue
        key = id(address), wanted
        if key not in made:
            made[key] = replace(address, forced=forced, leaving=leaving)
        after = after or list(before)
        after[index] = made[key]
    return tuple(after) if after else before


def slots_of(config: Configuration, override: Override) -> tuple[Slot, ...]:
    """The addresses that an override names; empty if its object is not (or no longer) there.

    The same that core.target.named_slots finds for kind/name.
    """
    named = _Named([override])
    return tuple(
        Slot(pool.index, index, family)
        for pool in config.pools
        for index in _indexes(named, pool)
        for family in FAMILIES
        if pool.endpoints[index].address(family) is not None
    )


def real_state(config: Configuration, health: Health, override: Override) -> str:
    """What the probes say of an override's object, for the listing: "up", "down", "unknown",
    "2 of 3 up" (addresses), or that nothing has the name.

    Addresses without a check are left out as long as others have one.
    """
    slots = slots_of(config, override)
    if not slots:
        exists = override.kind == "datacenter" and override.name in config.datacenters
        return "unknown" if exists else NOTHING
    checked = [slot for slot in slots if config.pools[slot.pool].check is not None] or slots
    states = [health.pools[s.pool].of(s.family)[s.endpoint].state for s in checked]
    if len(set(states)) == 1:
        return states[0].name.lower()
    return f"{states.count(State.UP)} of {len(states)} up"


def longest_ttl(config: Configuration, slots: Iterable[Slot]) -> int:
    """The largest TTL, in seconds, of the steered names whose policy can hand out one of the
    addresses, be it as `when_all_down`; 0 if there is none."""
    wanted = {slot.pool for slot in slots}
    longest = 0
    for name, ttl_s in config.steered.items():
        policy = config.policies[name]
        last = policy.last_pool
        if ttl_s > longest and (
            (last is not None and last.index in wanted)
            or any(pool.index in wanted for pool in pools_below(policy.node))
        ):
            longest = ttl_s
    return longest


def caches_empty_at(config: Configuration, override: Override) -> float | None:
    """When no cache can have the object any more (steering.md, TTL), Unix seconds; None if it is
    forced up, or nothing has its name."""
    slots = slots_of(config, override) if override.state != "up" else ()
    return override.effective_at + longest_ttl(config, slots) if slots else None


class _Named:
    """Overrides by what they name; each list has the last one set first."""

    def __init__(self, overrides: Sequence[Override]) -> None:
        self._broad: dict[tuple[ObjectKind, str], Override] = {}
        self._narrow: dict[str | bytes, Override] = {}
        for override in sorted(overrides, key=lambda each: (each.at, each.name)):
            if override.kind != "endpoint":
                self._broad[override.kind, override.name] = override
                continue
            self._narrow[override.name] = override
            with suppress(ValueError):  # a name, not an address
                self._narrow[ip_address(override.name).packed] = override

    def of_pool(self, pool: Pool) -> tuple[Override, ...]:
        """Those on the pool and its data center, the narrowest first."""
        if not self._broad:
            return ()
        home = pool.datacenter.name if pool.datacenter is not None else ""
        found = (self._broad.get(("pool", pool.name)), self._broad.get(("datacenter", home)))
        return tuple(override for override in found if override is not None)

    def of_endpoints(self, pool: Pool) -> Mapping[int, tuple[Override, ...]]:
        """Those on single endpoints of the pool, by index, the one set last first."""
        narrow = self._narrow
        if not narrow:
            return {}
        return {
            index: self._of_endpoint(endpoint)
            for index, endpoint in enumerate(pool.endpoints)
            if endpoint.name in narrow or endpoint.ipv4 in narrow or endpoint.ipv6 in narrow
        }

    def _of_endpoint(self, endpoint: Endpoint) -> tuple[Override, ...]:
        keys = (endpoint.name, endpoint.ipv4, endpoint.ipv6)
        found = {
            id(override): override
            for key in keys
            if key is not None and (override := self._narrow.get(key)) is not None
        }
        return tuple(sorted(found.values(), key=lambda o: (o.at, o.name), reverse=True))


def _indexes(named: _Named, pool: Pool) -> Iterable[int]:
    return range(len(pool.endpoints)) if named.of_pool(pool) else named.of_endpoints(pool)


def _settle(candidates: Sequence[Override], now: float) -> Settled:
    """What an address with these overrides is; the one that wins comes first."""
    if not candidates:
        return "", False
    forced: Forced = next((each.state for each in candidates if has_begun(each, now)), "")
    is_out = forced in ("down", "drain")
    begins = not has_begun(candidates[0], now) and candidates[0].state != "up"
    return forced, begins and not is_out


def has_begun(override: Override, now: float) -> bool:
    """One without a lead has from the first, also by a clock that was set back since."""
    return override.effective_at <= now or override.effective_at <= override.at
