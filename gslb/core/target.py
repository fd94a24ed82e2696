"""From what operators and probes name to the addresses of a plan.

Knows: how `fra`, `pool/web-fra` and `endpoint/192.0.2.10` name things (cli.md), which
targets a check makes of an endpoint, and how verdicts become Health. Refuses to know: who
asks, how probes are made, how a calculated check counts. Invariant: one target stands for
every address that shares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from ipaddress import ip_address
from typing import assert_never

from gslb.core.check import Check, Target
from gslb.core.formula import Formula, PoolOf
from gslb.core.health import AddressHealth, Health, Slot, State, with_addresses
from gslb.core.object import KINDS, find_object
from gslb.core.policy import FAMILIES, Family, Pool
from gslb.core.trail import TargetHealth
from gslb.core.world import Configuration


def targets_of(config: Configuration) -> dict[Target, tuple[Slot, ...]]:
    """What has a verdict, and the addresses that each is about.

    A calculated check has its own target and those of the checks that it counts; what only such
    a check needs has no address.
    """
    found: dict[Target, list[Slot]] = {}
    for pool in config.pools:
        check = config.checks.get(pool.check) if pool.check is not None else None
        if check is None or not check.enabled:
            continue
        for index, endpoint in enumerate(pool.endpoints):
            for family in FAMILIES:
                packed = endpoint.address(family)
                if packed is None:
                    continue
                address = str(ip_address(endpoint.check_address or packed))
                target = _target(check, address, endpoint.check_port)
                found.setdefault(target, []).append(Slot(pool.index, index, family))
                for counted in _counted(config, check, address, endpoint.check_port):
                    found.setdefault(counted, [])
    return {target: tuple(slots) for target, slots in found.items()}


def formulas_of(
    config: Configuration, targets: Mapping[Target, tuple[Slot, ...]]
) -> dict[Target, Formula]:
    """What the calculated ones among the targets count, in the order in which they follow from
    each other. Raises ValueError (graphlib.CycleError) if some count each other in a circle."""
    pools = {pool.name: pool.index for pool in config.pools}
    graph: dict[Target | PoolOf, tuple[Target | PoolOf, ...]] = {}
    of_pools: dict[PoolOf, list[Target]] = {}
    for target, slots in targets.items():
        check = config.checks[target.check]
        if check.type == "calculated":
            graph[target] = _members(config, check, target, pools)
            for slot in slots:
                of_pools.setdefault(PoolOf(slot.pool, slot.family), []).append(target)
    # Straight to what is calculated in the pool: the pools themselves only stand between.
    order: TopologicalSorter[Target | PoolOf] = TopologicalSorter(graph)
    for pool_of, calculated in of_pools.items():
        order.add(pool_of, *calculated)
    found: dict[Target, Formula] = {}
    for place, node in enumerate(order.static_order()):
        if isinstance(node, Target) and node in graph:
            check, members = config.checks[node.check], graph[node]
            found[node] = Formula(place, members, check.need.of(len(members)), check.invert)
    return found


def _target(check: Check, address: str, check_port: int | None) -> Target:
    """What a pool's own check makes of an endpoint."""
    match check.type:
        case "icmp" | "push":
            port = 0
        case _:
            port = check_port or check.port
    return Target(check.name, address, port)


def _member(check: Check, address: str, check_port: int | None) -> Target:
    """What a calculated check makes of a check that it counts: `check_port` is of the endpoint,
    and of several checks for one endpoint those that name a port keep it."""
    return _target(check, address, None if check.names_port else check_port)


def _counted(
    config: Configuration, check: Check, address: str, check_port: int | None
) -> Iterator[Target]:
    """The targets below a calculated one; those of checks that are off are nobody's."""
    waiting, seen = [check], {check.name}
    while waiting:
        for member in waiting.pop().of:
            counted = config.checks[member.name] if member.kind == "check" else None
            if counted is None or not counted.enabled or counted.name in seen:
                continue
            seen.add(counted.name)
            waiting.append(counted)
            yield _member(counted, address, check_port)


def _members(
    config: Configuration, check: Check, target: Target, pools: Mapping[str, int]
) -> tuple[Target | PoolOf, ...]:
    family: Family = 6 if ":" in target.address else 4
    return tuple(
        PoolOf(pools[member.name], family)
        if member.kind == "pool"
        else _member(config.checks[member.name], target.address, target.port or None)
        for member in check.of
    )


def with_verdicts(
    health: Health,
    slots: Mapping[Target, tuple[Slot, ...]],
    verdicts: Mapping[Target, TargetHealth],
) -> Health:
    """Health after some targets' verdicts; what is forced, leaves or ramps goes on doing so."""
    changes: dict[Slot, AddressHealth] = {}
    for target, verdict in verdicts.items():
        for slot in slots.get(target, ()):
            before = health.pools[slot.pool].of(slot.family)[slot.endpoint]
            changes[slot] = replace(before, state=verdict.state, flip_s=verdict.flip_s)
    return with_addresses(health, changes)


def named_slots(config: Configuration, name: str) -> list[Slot]:
    """The addresses of `fra`, `pool/web-fra`, `endpoint/192.0.2.10`, or a bare name.

    Raises ValueError with what to do when nothing, or more than one kind, has that name.
    """
    prefix, slash, rest = name.partition("/")
    kind = next((each for each in KINDS if slash and each == prefix), None)
    bare = name if kind is None else rest
    try:
        found, _ = find_object(config, kind or "object", bare)
    except LookupError as error:
        raise ValueError(error.args[0]) from None
    match found:
        case "datacenter":
            return _of_pools(pool for pool in config.pools if _in(pool, bare))
        case "pool":
            return _of_pools(pool for pool in config.pools if pool.name == bare)
        case "endpoint":
            return _of_endpoint(config, bare)
        case _:
            assert_never(found)


def taken_down(config: Configuration, health: Health, names: Iterable[str]) -> Health:
    """Health as if the probes of what is named failed (not an override). Raises ValueError."""
    changes: dict[Slot, AddressHealth] = {}
    for name in names:
        for slot in named_slots(config, name):
            before = health.pools[slot.pool].of(slot.family)[slot.endpoint]
            changes[slot] = replace(before, state=State.DOWN, flip_s=None)
    return with_addresses(health, changes)


def _in(pool: Pool, datacenter: str) -> bool:
    return pool.datacenter is not None and pool.datacenter.name == datacenter


def _of_pools(pools: Iterable[Pool]) -> list[Slot]:
    return [
        Slot(pool.index, index, family)
        for pool in pools
        for index, endpoint in enumerate(pool.endpoints)
        for family in FAMILIES
        if endpoint.address(family) is not None
    ]


def _of_endpoint(config: Configuration, name: str) -> list[Slot]:
    """By its name or either address; both addresses of a pair (steering.md, Availability)."""
    try:
        packed: bytes | None = ip_address(name).packed
    except ValueError:
        packed = None
    return [
        Slot(pool.index, index, family)
        for pool in config.pools
        for index, endpoint in enumerate(pool.endpoints)
        if endpoint.name == name or (packed and packed in (endpoint.ipv4, endpoint.ipv6))
        for family in FAMILIES
        if endpoint.address(family) is not None
    ]
