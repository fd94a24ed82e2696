"""What a scrape tells of a running server.

Knows: which figures the World, the prober and the jobs hold. Refuses to know: Prometheus.
Invariant: reading changes nothing, and labels come from the configuration only.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version

from gslb.app.server import Server
from gslb.core.health import State, standing
from gslb.core.policy import FAMILIES
from gslb.observe.log import caps, counts
from gslb.observe.metrics import Duration, Sample, from_counts

# The events there are (control.md): named here, so that each is 0 before its first time.
KINDS = (
    "start",
    "stop",
    "reload",
    "reload_failed",
    "last_good",
    "geo_update",
    "geo_refused",
    "transition",
    "fallback",
    "recovery",
)


def samples(server: Server) -> Iterator[Sample]:
    """Every counter and gauge."""
    yield from from_counts(server.engine.stats())
    if server.listeners is not None:
        yield from from_counts(server.listeners.stats())
    yield from from_counts(caps.copy())
    if server.control is not None:
        yield from from_counts(server.control.stats())
    yield Sample("cap", ("probe_concurrency",), server.monitor.waits)
    yield Sample("world_generation", (), server.world.generation)
    yield Sample("build_info", (version("gslb"), server.engine.name), 1)
    yield Sample("config_last_good", (), server.is_recovered)
    yield Sample("reload_seconds", (), server.reload_s)
    # Copies: whoever reads this may pause in between.
    for result, count in tuple(server.reloads.items()):
        yield Sample("reload", (result,), count)
    for kind in KINDS:
        yield Sample("events", (kind,), counts[kind])
    for (pool, to), count in tuple(server.transitions.items()):
        yield Sample("transitions", (pool, to), count)
    for (check, ending), count in tuple(server.monitor.probes.items()):
        yield Sample("probes", (check, ending), count)
    for info in server.world.plan.maps:
        yield Sample("geo_build_timestamp_seconds", (info.kind,), info.built)
    yield from _health(server)


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
        available = any(
            standing(pool, health, family, 1).available for family in FAMILIES if pool.has(family)
        )
        yield Sample("pool_available", (pool.name,), available)


def durations(server: Server) -> Iterator[Duration]:
    """Every histogram."""
    for check, tally in server.monitor.seconds.items():
        yield Duration("probe_seconds", (check,), tally.bounds_s, tuple(tally.counts), tally.sum_s)
    late = server.monitor.lateness
    yield Duration("probe_lateness_seconds", (), late.bounds_s, tuple(late.counts), late.sum_s)
