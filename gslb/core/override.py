"""The operator's hand: up, down or drain on a data center, a pool or an endpoint (health.md).

Knows: what an override is, which of several counts for an address, when one begins and ends.
Refuses to know: who asks, where overrides are kept. Invariant: pure; the narrowest wins, whatever
the order in which they were set.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from operator import attrgetter
from typing import Final, Literal

from gslb.core.health import AddressHealth, Forced, Health, PoolHealth, State
from gslb.core.policy import FAMILIES, Endpoint, Family, Pool, pools_below
from gslb.core.world import Configuration

ObjectKind = Literal["datacenter", "pool", "endpoint"]
ForcedState = Literal["up", "down", "drain"]
SERVER = "server"  # who sets the drain of `manual_resume`
Settled = tuple[Forced, bool]  # forced, leaving
Made = dict[tuple[State, float | None, int, Settled], AddressHealth]
NOTHING: Final = "nothing here has this name"
_FORCED, _LEAVING = attrgetter("forced"), attrgetter("leaving")


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
    changed: dict[int, PoolHealth] = {}
    made: Made = {}
    for pool, states in zip(config.pools, health.pools, strict=True):
        broad, narrow = named.of_pool(pool), named.of_endpoints(pool)
        if not broad and not narrow and not _is_forced(states):
            continue  # nearly all
        usual = _settle(broad, now)
        single = {index: _settle((*found, *broad), now) for index, found in narrow.items()}
        ipv4, ipv6 = (_forced(pool, states, family, usual, single, made) for family in FAMILIES)
        if ipv4 is not states.ipv4 or ipv6 is not states.ipv6:
            changed[pool.index] = PoolHealth(states.version + 1, ipv4, ipv6, states.share)
    if not changed:
        return health
    return Health(tuple(changed.get(i, states) for i, states in enumerate(health.pools)))


def _is_forced(states: PoolHealth) -> bool:
    # Two loops in C each: this is asked of every pool.
    return any(
        any(map(_FORCED, addresses)) or any(map(_LEAVING, addresses))
        for addresses in (states.ipv4, states.ipv6)
    )


def _forced(
    pool: Pool,
    states: PoolHealth,
    family: Family,
    usual: Settled,
    single: Mapping[int, Settled],
    made: Made,
) -> tuple[AddressHealth, ...]:
    """The addresses of a family as they are to be; the same tuple if they are so already."""
    before = states.of(family)
    after: list[AddressHealth] = []
    wanted = usual
    for index, address in enumerate(before):
        if single:
            wanted = single.get(index, usual)
        forced, leaving = wanted
        if address.forced == forced and address.leaving == leaving:
            continue
        if pool.endpoints[index].address(family) is None:
            continue
        # Most of ten thousand are alike, and making one takes longer than all the rest.
        key = address.state, address.flip_s, address.ramp, wanted
        new = made.get(key)
        if new is None:
            new = made[key] = replace(address, forced=forced, leaving=leaving)
        after = after or list(before)
        after[index] = new
    return tuple(after) if after else before


def reached(config: Configuration, override: Override) -> list[tuple[Pool, Collection[int]]]:
    """The pools that an override reaches, each with the indexes of the endpoints that it names;
    empty if its object is not (or no longer) there.

    The same that core.target.named_slots finds for kind/name.
    """
    named = _Named([override])
    return [(pool, indexes) for pool in config.pools if (indexes := _indexes(named, pool))]


def real_state(config: Configuration, health: Health, override: Override) -> str:
    """What the probes say of an override's object, for the listing: "up", "down", "unknown",
    "2 of 3 up" (addresses), or that nothing has the name.

    Addresses without a check are left out as long as others have one.
    """
    found = reached(config, override)
    if not found:
        exists = override.kind == "datacenter" and override.name in config.datacenters
        return "unknown" if exists else NOTHING
    checked = [(pool, indexes) for pool, indexes in found if pool.check is not None] or found
    states = [state for pool, indexes in checked for state in _states(health, pool, indexes)]
    if len(set(states)) == 1:
        return states[0].name.lower()
    return f"{states.count(State.UP)} of {len(states)} up"


def _states(health: Health, pool: Pool, indexes: Iterable[int]) -> Iterator[State]:
    """Of the addresses of some endpoints, by index."""
    states = health.pools[pool.index]
    for index in indexes:
        endpoint = pool.endpoints[index]
        if endpoint.ipv4 is not None:
            yield states.ipv4[index].state
        if endpoint.ipv6 is not None:
            yield states.ipv6[index].state


def longest_ttl(config: Configuration, pools: Iterable[int]) -> int:
    """The largest TTL, in seconds, of the steered names whose policy can hand out an address of
    these pools (by index), be it as `when_all_down`; 0 if there is none."""
    wanted = frozenset(pools)
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
    pools = [pool.index for pool, _ in reached(config, override)] if override.state != "up" else []
    return override.effective_at + longest_ttl(config, pools) if pools else None


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


def _indexes(named: _Named, pool: Pool) -> Collection[int]:
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
