"""What a scrape tells of a running server.

Knows: which figures the World, the prober and the jobs hold. Refuses to know: Prometheus.
Invariant: reading changes nothing, and labels come from the configuration only.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from gslb.app.chronicle import KEPT
from gslb.app.server import Server
from gslb.core.health import State, standing
from gslb.core.policy import FAMILIES
from gslb.observe.log import caps, counts
from gslb.observe.metrics import Duration, Sample, from_counts


def samples(server: Server) -> Iterator[Sample]:
    """Every counter and gauge."""
    yield from from_counts(server.engine.stats())
    if server.listeners is not None:
        yield from from_counts(server.listeners.stats())
    yield from from_counts(caps.copy())
    if server.control is not None:
        yield from from_counts(server.control.stats())
    yield Sample("cap", ("probe_concurrency",), server.outlook.monitor.waits)
    yield Sample("world_generation", (), server.world.generation)
    yield Sample("build_info", (version("gslb"), server.engine.name), 1)
    yield Sample("config_last_good", (), server.is_recovered)
    yield Sample("reload_seconds", (), server.reload_s)
    # Copies: whoever reads this may pause in between.
    for result, count in tuple(server.reloads.items()):
        yield Sample("reload", (result,), count)
    for kind in KEPT:  # so that each is 0 before its first time
        yield Sample("events", (kind,), counts[kind])
    for (pool, to), count in tuple(server.outlook.transitions.items()):
        yield Sample("transitions", (pool, to), count)
    for (check, ending), count in tuple(server.outlook.monitor.probes.items()):
        yield Sample("probes", (check, ending), count)
    for info in server.world.plan.maps:
        yield Sample("geo_build_timestamp_seconds", (info.kind,), info.built)
    yield from _health(server)
    yield from _hand(server)
    yield from _foresight(server)


def _health(server: Server) -> Iterator[Sample]:
    world = server.world
    for pool in world.plan.config.pools:
        health = world.health.pools[pool.index]
        for index, endpoint in enumerate(pool.endpoints):
            states = [
                health.of(family)[index].state
                for family in FAMILIES
                if endpoint.address(family) is not None
            ]
            up = all(state is not State.DOWN for state in states)
            yield Sample("endpoint_up", (pool.name, endpoint.name), up)
            forced = any(health.of(family)[index].forced for family in FAMILIES)
            yield Sample("endpoint_forced", (pool.name, endpoint.name), forced)
        available = any(
            standing(pool, health, family, 1).available for family in FAMILIES if pool.has(family)
        )
        yield Sample("pool_available", (pool.name,), available)
        yield Sample("pool_share_ratio", (pool.name,), health.share / 100)


def _hand(server: Server) -> Iterator[Sample]:
    """What people have decided, and whether that is kept."""
    for each in server.outlook.hand.overrides:
        ends = "no" if each.until is None else "yes"
        yield Sample("overrides", (each.state,), 1)
        about = (each.kind, each.name, each.state, ends)
        yield Sample("override_set_timestamp_seconds", about, each.at)
    yield Sample("state_writable", (), not server.store.problem)
    yield from from_counts(server.store.stats())


def _foresight(server: Server) -> Iterator[Sample]:
    """What may change answers soon."""
    outlook = server.outlook
    yield Sample("prober_blind", (), bool(outlook.monitor.blind))
    first: dict[str, float] = {}
    for target, expires_at in tuple(outlook.monitor.certificates.items()):
        first[target.check] = min(expires_at, first.get(target.check, expires_at))
    for check, expires_at in first.items():
        yield Sample("certificate_expiry_timestamp_seconds", (check,), expires_at)
    highest: dict[str, float] = {}
    for pool in server.world.plan.config.pools:
        load, place = outlook.pace.load_of(pool.name), pool.datacenter
        if load is not None and place is not None:
            highest[place.name] = max(load, highest.get(place.name, load))
    for datacenter, load in highest.items():
        yield Sample("datacenter_load_ratio", (datacenter,), load)


def durations(server: Server) -> Iterator[Duration]:
    """Every histogram."""
    for check, tally in server.outlook.monitor.seconds.items():
        yield Duration("probe_seconds", (check,), tally.bounds_s, tuple(tally.counts), tally.sum_s)
    late = server.outlook.monitor.lateness
    yield Duration("probe_lateness_seconds", (), late.bounds_s, tuple(late.counts), late.sum_s)
