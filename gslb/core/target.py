"""From what operators and probes name to the addresses of a plan.

Knows: how `fra`, `pool/web-fra` and `endpoint/192.0.2.10` name things (cli.md), which
target a check makes of an endpoint, and how verdicts become Health. Refuses to know: who
asks, how probes are made. Invariant: one target stands for every address that shares it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from ipaddress import ip_address

from gslb.core.check import Target
from gslb.core.health import AddressHealth, Health, Slot, State, with_addresses
from gslb.core.policy import FAMILIES, Pool
from gslb.core.trail import TargetHealth
from gslb.core.world import Configuration


def targets_of(config: Configuration) -> dict[Target, tuple[Slot, ...]]:
    """What has to be probed, and the addresses that each verdict is about."""
    found: dict[Target, list[Slot]] = {}
    for pool in config.pools:
        check = config.checks.get(pool.check) if pool.check is not None else None
        if check is None or not check.enabled:
            continue
        for index, endpoint in enumerate(pool.endpoints):
            port = endpoint.check_port or check.port
            for family in FAMILIES:
                packed = endpoint.address(family)
                if packed is None:
                    continue
                address = endpoint.check_address or str(ip_address(packed))
                target = Target(check.name, str(ip_address(address)), port)
                found.setdefault(target, []).append(Slot(pool.index, index, family))
    return {target: tuple(slots) for target, slots in found.items()}


def with_verdicts(
    health: Health,
    slots: Mapping[Target, tuple[Slot, ...]],
    verdicts: Mapping[Target, TargetHealth],
) -> Health:
    """Health after some targets' verdicts; what is forced stays forced."""
    changes: dict[Slot, AddressHealth] = {}
    for target, verdict in verdicts.items():
        for slot in slots.get(target, ()):
            before = health.pools[slot.pool].of(slot.family)[slot.endpoint]
            changes[slot] = AddressHealth(verdict.state, before.forced, verdict.flip_s)
    return with_addresses(health, changes)


def named_slots(config: Configuration, name: str) -> list[Slot]:
    """The addresses of `fra`, `pool/web-fra`, `endpoint/192.0.2.10`, or a bare name.

    Raises ValueError with what to do when nothing, or more than one kind, has that name.
    """
    kind, slash, rest = name.partition("/")
    wanted = kind if slash and kind in ("datacenter", "pool", "endpoint") else ""
    bare = rest if wanted else name
    found = {
        known: slots
        for known, slots in (
            ("datacenter", _of_pools(p for p in config.pools if _in(p, bare))),
            ("pool", _of_pools(p for p in config.pools if p.name == bare)),
            ("endpoint", _of_endpoint(config, bare)),
        )
        if slots and wanted in ("", known)
    }
    if len(found) > 1:
        kinds = " or ".join(f"{known}/{bare}" for known in found)
        raise ValueError(f'"{name}" is ambiguous; say {kinds}')
    if not found:
        if bare in config.datacenters and wanted in ("", "datacenter"):
            return []
        names = [*config.datacenters, *(pool.name for pool in config.pools)]
        close = get_close_matches(bare, names, n=1)
        hint = f'; did you mean "{close[0]}"?' if close else ""
        raise ValueError(f'no data center, pool or endpoint "{name}"{hint}')
    return next(iter(found.values()))


def taken_down(config: Configuration, health: Health, names: Iterable[str]) -> Health:
    """Health as if the probes of what is named failed (not an override). Raises ValueError."""
    down = AddressHealth(State.DOWN)
    return with_addresses(
        health, {slot: down for name in names for slot in named_slots(config, name)}
    )


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
